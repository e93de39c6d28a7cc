//! Files that are none of the network process's business, and what lies in its own memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;

use super::{Outcome, argument, said};

/// A piece of memory that is looked at at once.
const PIECE: usize = 1 << 20;

/// `read PATH`
pub(super) fn read(arguments: &[&str]) -> Outcome {
    let mut bytes = Vec::new();
    let mut file = File::open(argument(arguments, 0)?).map_err(said)?;
    file.read_to_end(&mut bytes).map_err(said)?;
    Ok(format!("{} bytes", bytes.len()))
}

/// `write PATH`: makes a file there.
pub(super) fn write(arguments: &[&str]) -> Outcome {
    let path = argument(arguments, 0)?;
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(said)?;
    file.write_all(b"drill").map_err(said)?;
    Ok("written".to_owned())
}

/// `link TARGET PATH`: a symbolic link, for others to fall into.
pub(super) fn link(arguments: &[&str]) -> Outcome {
    std::os::unix::fs::symlink(argument(arguments, 0)?, argument(arguments, 1)?).map_err(said)?;
    Ok("made".to_owned())
}

/// `own-memory HEX`: looks for bytes in all memory of the process. They are told inverted, so that the question itself
/// is not the answer.
pub(super) fn own_memory(arguments: &[&str]) -> Outcome {
    let digits = argument(arguments, 0)?.as_bytes();
    let inverted: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok())
        .collect();
    let inverted = inverted.ok_or("not in hexadecimal digits")?;
    let is_it = |window: &[u8]| window.iter().zip(&inverted).all(|(a, b)| *a == !*b);
    let memory = File::open("/proc/self/mem").map_err(said)?;
    let maps = File::open("/proc/self/maps").map_err(said)?;
    let mut looked_at = 0_u64;
    let mut piece = vec![0; PIECE];
    for line in BufReader::new(maps).lines() {
        let line = line.map_err(said)?;
        let Some((from, to)) = line.split_once(' ').and_then(|(range, rights)| {
            let (from, to) = range.split_once('-')?;
            let bounds = (
                u64::from_str_radix(from, 16).ok()?,
                u64::from_str_radix(to, 16).ok()?,
            );
            rights.starts_with("rw").then_some(bounds)
        }) else {
            continue;
        };
        let mut at = from;
        while at < to {
            let wanted = usize::try_from(to - at).unwrap_or(PIECE).min(PIECE);
            let Some(room) = piece.get_mut(..wanted) else {
                break;
            };
            let Ok(count @ 1..) = memory.read_at(room, at) else {
                break;
            };
            let seen = room.get(..count).unwrap_or_default();
            if seen.windows(inverted.len()).any(is_it) {
                return Ok(format!("found in {line}"));
            }
            looked_at += count as u64;
            at += count as u64;
        }
    }
    Err(format!("not among {looked_at} bytes"))
}
