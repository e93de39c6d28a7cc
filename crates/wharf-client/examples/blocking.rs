//! Without `async`: `blocking ftp://me:secret@files.example/`. Writes a file, reads it again, lists, removes it.

#![expect(clippy::print_stdout, reason = "an example shows what it has seen")]

use std::io::{Read, Write};

use wharf_client::{Options, Target, blocking::Client};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("usage: blocking ftp://HOST/")?;
    let target: Target = address.parse()?;
    let mut client = Client::open(&target, Options::default())?;
    let name = "wharf-example.txt".parse()?;

    let mut upload = client.store(&name, 0)?;
    upload.write_all(b"hello\n")?;
    upload.finish()?;

    let mut text = String::new();
    let mut download = client.retrieve(&name, 0)?;
    download.read_to_string(&mut text)?;
    download.finish()?;
    println!("read again: {text}");

    for entry in client.listing(None)? {
        println!("{}", String::from_utf8_lossy(&entry?.name));
    }
    client.remove_file(&name)?;
    client.quit();
    Ok(())
}
