//! Asks the router in front of an address of this machine for a port, tells what it says and how long it takes, and gives
//! the port back: `cargo run -p wharf-net --example map_port 192.168.1.7:50000 [TIMES] [keep]`.

#![allow(clippy::print_stdout, reason = "it tells")]

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use wharf_net::{Net, TcpNet};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let inside: SocketAddr = arguments.next().ok_or("which address?")?.parse()?;
    let times: u32 = arguments.next().map_or(Ok(1), |n| n.parse())?;
    let keep = arguments.next().is_some();
    let mapper = TcpNet::new().mapper().ok_or("no mapper")?;
    for _time in 0..times {
        let began = Instant::now();
        match mapper.map(inside, Duration::from_mins(2)).await {
            Ok(mapping) => {
                let (outside, by) = (mapping.outside(), mapping.by());
                println!("{outside} by {by} in {:?}", began.elapsed());
                if keep {
                    std::mem::forget(mapping);
                } else {
                    let began = Instant::now();
                    mapping.remove().await;
                    println!("given back in {:?}", began.elapsed());
                }
            }
            Err(error) => println!("{error} after {:?}", began.elapsed()),
        }
    }
    let began = Instant::now();
    match mapper.outside_address(inside.ip()).await {
        Ok(address) => println!("outside address {address} in {:?}", began.elapsed()),
        Err(error) => println!("{error} after {:?}", began.elapsed()),
    }
    Ok(())
}
