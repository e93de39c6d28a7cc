//! The frames of a capture file: classic pcap (micro- and nanoseconds, both byte orders) and pcapng (several sections
//! and interfaces, each with its own clock resolution). Nothing is copied.

use std::time::Duration;

use pcap_parser::pcapng::{Block, parse_block_be, parse_block_le, parse_sectionheaderblock};
use pcap_parser::{
    LegacyPcapBlock, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified,
    parse_pcap_header,
};

use super::CaptureError;

/// One frame as it was on a wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// By the recorder's clock.
    pub(super) at: Duration,
    /// LINKTYPE_ number of what the frame begins with.
    pub(super) link: i32,
    /// What was kept of it.
    pub(super) data: &'a [u8],
}

/// All frames, and whether the file ends in the middle of one.
#[derive(Debug, Default)]
pub(super) struct Frames<'a> {
    /// In the order of the file.
    pub(super) frames: Vec<Frame<'a>>,
    /// The file ends in the middle, or what follows cannot be understood.
    pub(super) damaged: bool,
}

/// First bytes of a pcapng file, the same in both byte orders.
const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// First bytes of a classic capture, as they stand in the file.
const CLASSIC: [[u8; 4]; 5] = [
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x34, 0xcd, 0xb2, 0xa1],
];

/// Whether these are the first bytes of a capture file of either format.
pub(super) fn is_capture(bytes: &[u8]) -> bool {
    bytes.starts_with(&SECTION) || CLASSIC.iter().any(|magic| bytes.starts_with(magic))
}

/// Takes a capture file apart. A damaged end costs only what stands there.
///
/// # Errors
/// [`CaptureError::NotACapture`].
pub(super) fn frames(bytes: &[u8]) -> Result<Frames<'_>, CaptureError> {
    if bytes.starts_with(&SECTION) {
        Ok(sections(bytes))
    } else if is_capture(bytes) {
        classic(bytes).ok_or(CaptureError::NotACapture)
    } else {
        Err(CaptureError::NotACapture)
    }
}

fn classic(bytes: &[u8]) -> Option<Frames<'_>> {
    let (mut rest, header) = parse_pcap_header(bytes).ok()?;
    let parse = if header.is_modified_format() {
        parse_pcap_frame_modified
    } else if header.is_bigendian() {
        parse_pcap_frame_be
    } else {
        parse_pcap_frame
    };
    // The field holds more than the number: bits above the lower 16 tell of frame check sequences.
    let link = header.network.0 & 0xffff;
    let mut all = Frames::default();
    while !rest.is_empty() {
        let Ok((
            behind,
            LegacyPcapBlock {
                ts_sec,
                ts_usec,
                data,
                ..
            },
        )) = parse(rest)
        else {
            all.damaged = true;
            break;
        };
        let nanos = if header.is_nanosecond_precision() {
            u64::from(ts_usec)
        } else {
            u64::from(ts_usec) * 1000
        };
        let at = Duration::from_secs(u64::from(ts_sec)) + Duration::from_nanos(nanos);
        all.frames.push(Frame { at, link, data });
        rest = behind;
    }
    Some(all)
}

/// An interface of a pcapng section.
struct Interface {
    link: i32,
    resolution: u8,
    /// Seconds to add.
    offset: i64,
}

fn sections(bytes: &[u8]) -> Frames<'_> {
    let mut all = Frames::default();
    let mut rest = bytes;
    let mut big_endian = false;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut last = Duration::ZERO;
    while !rest.is_empty() {
        let parsed = if rest.starts_with(&SECTION) {
            parse_sectionheaderblock(rest).map(|(behind, header)| {
                big_endian = header.big_endian();
                interfaces.clear();
                (behind, None)
            })
        } else {
            let parse = if big_endian {
                parse_block_be
            } else {
                parse_block_le
            };
            parse(rest).map(|(behind, block)| (behind, Some(block)))
        };
        let Ok((behind, block)) = parsed else {
            all.damaged = true;
            break;
        };
        // A parser that does not move would never end.
        if behind.len() >= rest.len() {
            all.damaged = true;
            break;
        }
        rest = behind;
        match block {
            Some(Block::InterfaceDescription(interface)) => interfaces.push(Interface {
                link: interface.linktype.0 & 0xffff,
                resolution: interface.if_tsresol,
                offset: if big_endian {
                    interface.if_tsoffset.swap_bytes()
                } else {
                    interface.if_tsoffset
                },
            }),
            Some(Block::EnhancedPacket(packet)) => {
                let index = usize::try_from(packet.if_id).unwrap_or(usize::MAX);
                let Some(interface) = interfaces.get(index) else {
                    continue;
                };
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                last = time(ticks, interface);
                all.frames.push(Frame {
                    at: last,
                    link: interface.link,
                    data: kept(packet.data, packet.caplen),
                });
            }
            // It has no time of its own and belongs to the first interface.
            Some(Block::SimplePacket(packet)) => {
                let Some(interface) = interfaces.first() else {
                    continue;
                };
                all.frames.push(Frame {
                    at: last,
                    link: interface.link,
                    data: kept(packet.data, packet.origlen),
                });
            }
            _ => {}
        }
    }
    all
}

/// A block's data without the bytes that fill it up.
fn kept(data: &[u8], length: u32) -> &[u8] {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    data.get(..length).unwrap_or(data)
}

/// Ticks of an interface's clock: a power of ten, or of two when the highest bit is set.
fn time(ticks: u64, interface: &Interface) -> Duration {
    let exponent = u32::from(interface.resolution & 0x7f);
    let unit = if interface.resolution & 0x80 == 0 {
        10_u128.checked_pow(exponent)
    } else {
        2_u128.checked_pow(exponent)
    };
    let unit = unit.unwrap_or(u128::MAX);
    let ticks = u128::from(ticks);
    let seconds = u64::try_from(ticks / unit).unwrap_or(u64::MAX);
    let nanos = (ticks % unit).saturating_mul(1_000_000_000) / unit;
    let nanos = u64::try_from(nanos).unwrap_or(0).min(999_999_999);
    let seconds = seconds
        .saturating_add_signed(interface.offset)
        .min(u64::MAX >> 1);
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_of_interfaces() {
        for (resolution, ticks, millis) in [
            (6, 1_500_000, 1500),
            (9, 1_500_000_000, 1500),
            (0, 2, 2000),
            (0x8a, 1536, 1500),
            (0xff, u64::MAX, 0),
            (127, u64::MAX, 0),
        ] {
            let interface = Interface {
                link: 1,
                resolution,
                offset: 0,
            };
            assert_eq!(
                time(ticks, &interface),
                Duration::from_millis(millis),
                "resolution {resolution:#x}"
            );
        }
    }
}
