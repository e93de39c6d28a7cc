//! The packets of a classic Ethernet capture, and any other file made of them.

/// Byte order of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Endian {
    Little,
    Big,
}

impl Endian {
    fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// What stands before the IP packet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Link {
    Ethernet,
    Vlan,
    Cooked,
    Cooked2,
    Raw,
    Null,
    Loop,
}

impl Link {
    pub(crate) const ALL: [Self; 7] = [
        Self::Ethernet,
        Self::Vlan,
        Self::Cooked,
        Self::Cooked2,
        Self::Raw,
        Self::Null,
        Self::Loop,
    ];

    fn number(self) -> u32 {
        match self {
            Self::Ethernet | Self::Vlan => 1,
            Self::Cooked => 113,
            Self::Cooked2 => 276,
            Self::Raw => 101,
            Self::Null => 0,
            Self::Loop => 108,
        }
    }

    fn header(self) -> Vec<u8> {
        match self {
            Self::Ethernet => [&[2; 12][..], &[8, 0]].concat(),
            Self::Vlan => [&[2; 12][..], &[0x81, 0, 0, 7, 8, 0]].concat(),
            Self::Cooked => [&[0, 0, 0, 1, 0, 6][..], &[2; 8], &[8, 0]].concat(),
            Self::Cooked2 => [&[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6][..], &[2; 8]].concat(),
            Self::Raw => Vec::new(),
            Self::Null => vec![2, 0, 0, 0],
            Self::Loop => vec![0, 0, 0, 2],
        }
    }
}

/// Time in seconds and microseconds, the frame, its whole length.
#[derive(Clone, Debug)]
struct Frame {
    seconds: u32,
    micros: u32,
    data: Vec<u8>,
    length: usize,
}

/// Packets behind one kind of link header.
#[derive(Clone, Debug)]
pub(crate) struct Packets {
    link: u32,
    frames: Vec<Frame>,
}

const ETHERNET: usize = 14;

impl Packets {
    /// Those of a little-endian capture with microseconds, on Ethernet.
    pub(crate) fn of(file: &[u8]) -> Self {
        assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes"));
        let mut frames = Vec::new();
        let mut at = 24;
        while at < file.len() {
            let length = word(at + 8) as usize;
            let data = file[at + 16..at + 16 + length].to_vec();
            frames.push(Frame {
                seconds: word(at),
                micros: word(at + 4),
                length: data.len(),
                data,
            });
            at += 16 + length;
        }
        Self { link: 1, frames }
    }

    /// The same behind another link header.
    pub(crate) fn on(&self, link: Link) -> Self {
        self.each(link.number(), |frame| {
            let data = [&link.header()[..], &frame.data[ETHERNET..]].concat();
            vec![Frame {
                length: data.len(),
                data,
                ..frame.clone()
            }]
        })
    }

    /// Each packet twice, as on a bridge.
    pub(crate) fn twice(&self) -> Self {
        self.each(self.link, |frame| vec![frame.clone(), frame.clone()])
    }

    /// Without those whose payload is so.
    pub(crate) fn without(&self, is_so: impl Fn(&[u8]) -> bool) -> Self {
        self.each(self.link, |frame| {
            let header = ETHERNET + 20;
            let end = ETHERNET
                + usize::from(u16::from_be_bytes([
                    frame.data[ETHERNET + 2],
                    frame.data[ETHERNET + 3],
                ]));
            let tcp = usize::from(frame.data[header + 12] >> 4) * 4;
            let leave = is_so(&frame.data[header + tcp..end]);
            if leave { vec![] } else { vec![frame.clone()] }
        })
    }

    /// None of them.
    pub(crate) fn none(&self) -> Self {
        self.each(self.link, |_| vec![])
    }

    /// Only the first bytes of each kept, as `tcpdump -s` does.
    pub(crate) fn cut_to(&self, length: usize) -> Self {
        self.each(self.link, |frame| {
            let mut frame = frame.clone();
            frame.data.truncate(length);
            vec![frame]
        })
    }

    /// In another order, with the times staying as they are.
    pub(crate) fn shuffled(&self, seed: u64) -> Self {
        let mut order = self.clone();
        let mut state = seed | 1;
        for index in (1..order.frames.len()).rev() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let other = usize::try_from(state >> 33).expect("31 bits") % (index + 1);
            order.frames.swap(index, other);
        }
        order
    }

    fn each(&self, link: u32, make: impl Fn(&Frame) -> Vec<Frame>) -> Self {
        let frames = self.frames.iter().flat_map(make).collect();
        Self { link, frames }
    }

    /// A classic capture of these frames that says that they are of another link type.
    pub(crate) fn pcap_of_link(&self, link: u32) -> Vec<u8> {
        let other = Self {
            link,
            frames: self.frames.clone(),
        };
        other.pcap(Endian::Little, false)
    }

    /// A classic capture.
    pub(crate) fn pcap(&self, endian: Endian, nanoseconds: bool) -> Vec<u8> {
        let magic = if nanoseconds {
            0xa1b2_3c4d
        } else {
            0xa1b2_c3d4
        };
        let mut file = Vec::new();
        file.extend(endian.u32(magic));
        file.extend(endian.u16(2));
        file.extend(endian.u16(4));
        for word in [0, 0, 262_144, self.link] {
            file.extend(endian.u32(word));
        }
        for frame in &self.frames {
            let fraction = frame.micros * if nanoseconds { 1000 } else { 1 };
            let kept = u32::try_from(frame.data.len()).expect("short");
            let length = u32::try_from(frame.length).expect("short");
            for word in [frame.seconds, fraction, kept, length] {
                file.extend(endian.u32(word));
            }
            file.extend(&frame.data);
        }
        file
    }

    /// A pcapng file with two interfaces, of which the second was recorded; its clock has this power of ten.
    pub(crate) fn pcapng(&self, endian: Endian, resolution: u8) -> Vec<u8> {
        let mut file = Vec::new();
        let mut block = |kind: u32, body: &[u8]| {
            let padded = body.len().next_multiple_of(4);
            let length = endian.u32(u32::try_from(padded + 12).expect("short"));
            file.extend(endian.u32(kind));
            file.extend(length);
            file.extend(body);
            file.resize(file.len() + padded - body.len(), 0);
            file.extend(length);
        };
        let mut section = endian.u32(0x1a2b_3c4d).to_vec();
        section.extend(endian.u16(1));
        section.extend(endian.u16(0));
        section.extend([0xff; 8]);
        block(0x0a0d_0d0a, &section);
        for (link, resolution) in [(1, 6), (self.link, resolution)] {
            let mut interface = endian.u16(u16::try_from(link).expect("short")).to_vec();
            interface.extend(endian.u16(0));
            interface.extend(endian.u32(0));
            interface.extend(endian.u16(9));
            interface.extend(endian.u16(1));
            interface.extend([resolution, 0, 0, 0]);
            interface.extend([0; 4]);
            block(1, &interface);
        }
        for frame in &self.frames {
            let micros = u64::from(frame.seconds) * 1_000_000 + u64::from(frame.micros);
            let ticks = match resolution {
                9 => micros * 1000,
                6 => micros,
                _ => micros / 1000,
            };
            let mut packet = endian.u32(1).to_vec();
            packet.extend(endian.u32(u32::try_from(ticks >> 32).expect("high")));
            packet.extend(endian.u32(u32::try_from(ticks & 0xffff_ffff).expect("low")));
            packet.extend(endian.u32(u32::try_from(frame.data.len()).expect("short")));
            packet.extend(endian.u32(u32::try_from(frame.length).expect("short")));
            packet.extend(&frame.data);
            block(6, &packet);
        }
        file
    }
}
