//! What tells a server to stop or to read its configuration again: signals, or the broker that heard them.

use std::thread;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use wharf_broker::Orders;
use wharf_broker::message::Order;

use crate::exit::{Exit, Failure};

/// What was told.
pub(crate) enum Got {
    Stop,
    Reload,
    /// The broker has other certificates.
    Certificates,
}

/// The signals of this process, and the broker's orders where there is one.
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    orders: Option<mpsc::Receiver<Got>>,
}

impl Signals {
    /// To be made before anybody learns of the server: whoever does may send a signal at once. With a broker the
    /// signals that come here are caught and do nothing: a terminal and an init system send them to both processes.
    pub(crate) fn new(broker: Option<Orders>) -> Result<Self, Failure> {
        let catch = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Exit::Software, format!("cannot catch signals: {error}"))
            })
        };
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hang_up: catch(SignalKind::hangup())?,
            orders: broker.map(listen).transpose()?,
        })
    }

    pub(crate) async fn next(&mut self) -> Got {
        if let Some(orders) = &mut self.orders {
            // The sender's thread never ends but with the process.
            return orders.recv().await.unwrap_or(Got::Stop);
        }
        tokio::select! {
            _ = self.terminate.recv() => Got::Stop,
            _ = self.interrupt.recv() => Got::Stop,
            _ = self.hang_up.recv() => Got::Reload,
        }
    }
}

/// A thread of its own: when the broker has ended this process ends, whatever else it is at.
fn listen(orders: Orders) -> Result<mpsc::Receiver<Got>, Failure> {
    let (tell, told) = mpsc::channel(8);
    let hear = move || {
        loop {
            let got = match orders.next() {
                Ok(Some(Order::Stop)) => Got::Stop,
                Ok(Some(Order::Reload)) => Got::Reload,
                Ok(Some(Order::Certificates)) => Got::Certificates,
                Ok(Some(_)) => continue,
                Ok(None) | Err(_) => gone(),
            };
            if tell.blocking_send(got).is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("orders".to_owned())
        .spawn(hear)
        .map_err(|error| Failure::new(Exit::Software, format!("no thread to be had: {error}")))?;
    Ok(told)
}

#[expect(
    clippy::exit,
    reason = "nothing may be served any more, and other threads may be busy"
)]
fn gone() -> ! {
    tracing::error!("the broker process has ended: ending, too; start the server again");
    std::process::exit(Exit::Software.code().into())
}
