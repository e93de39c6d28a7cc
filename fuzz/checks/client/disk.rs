//! A directory for the client, made when it is needed, with another one around it that must stay as it was.

use std::fs;
use std::path::{Path, PathBuf};

use super::files;

#[derive(Default)]
pub(crate) struct Disk {
    around: Option<PathBuf>,
}

impl Disk {
    fn around(&mut self) -> &Path {
        self.around.get_or_insert_with(|| {
            let around = std::env::temp_dir().join(format!("wharf-fuzz-{}", std::process::id()));
            let _ = fs::remove_dir_all(&around);
            fs::create_dir_all(around.join("own")).expect("a directory");
            fs::write(around.join("evil"), "as it was").expect("a file");
            around
        })
    }

    /// Where downloads go.
    pub(crate) fn root(&mut self) -> PathBuf {
        self.around().join("own")
    }

    /// The file to upload.
    pub(crate) fn upload(&mut self) -> PathBuf {
        let path = self.around().join("upload");
        if !path.exists() {
            let bytes = files::content(super::UPLOAD, 0, super::UPLOADED);
            fs::write(&path, bytes).expect("a file");
        }
        path
    }

    /// Nothing was written beside the client's directory.
    pub(crate) fn check(self) {
        let Some(around) = self.around else {
            return;
        };
        let mut names: Vec<_> = fs::read_dir(&around)
            .expect("a directory")
            .map(|it| it.expect("an entry").file_name())
            .collect();
        names.sort();
        names.retain(|it| it != "upload");
        assert_eq!(names, ["evil", "own"]);
        let canary = fs::read(around.join("evil")).expect("the canary");
        assert_eq!(canary, b"as it was");
        for outside in ["/tmp/evil", "/evil"] {
            assert!(!Path::new(outside).exists(), "{outside}");
        }
        fs::remove_dir_all(&around).expect("nothing in the way");
    }
}
