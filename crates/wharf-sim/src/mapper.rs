//! Asking the gateway of one's site for a port.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use wharf_net::mapping::{MappedBy, Mapping, PortMapper};

use crate::stream::lock;
use crate::world::{HostId, Map, Site};

/// The answer of a router that speaks PCP (measured: 2 to 20 ms).
const ANSWER: Duration = Duration::from_millis(15);

/// Until nobody has answered any protocol, as the real mapper waits.
const SILENCE: Duration = Duration::from_millis(1300);

pub(crate) struct SimMapper {
    pub(crate) map: Arc<Mutex<Map>>,
    pub(crate) host: HostId,
}

impl SimMapper {
    /// What the gateway answers, at the time at which it does.
    async fn ask<T>(&self, question: impl FnOnce(&mut Map, Site) -> Option<T>) -> io::Result<T> {
        let answer = {
            let mut map = lock(&self.map);
            let site = map.site_of(self.host);
            site.and_then(|site| question(&mut map, site))
        };
        let Some(answer) = answer else {
            tokio::time::sleep(SILENCE).await;
            return Err(io::ErrorKind::Unsupported.into());
        };
        tokio::time::sleep(ANSWER).await;
        Ok(answer)
    }
}

#[async_trait]
impl PortMapper for SimMapper {
    async fn map(&self, inside: SocketAddr, lifetime: Duration) -> io::Result<Box<dyn Mapping>> {
        let lease = |map: &mut Map, site| {
            Some(SimMapping {
                map: Arc::clone(&self.map),
                site,
                outside: map.gateway(site)?.lease(inside, lifetime)?,
            })
        };
        Ok(Box::new(self.ask(lease).await?))
    }

    async fn outside_address(&self, inside: IpAddr) -> io::Result<IpAddr> {
        self.ask(|map, site| map.gateway(site)?.told_outside(inside))
            .await
    }
}

struct SimMapping {
    map: Arc<Mutex<Map>>,
    site: Site,
    outside: SocketAddr,
}

#[async_trait]
impl Mapping for SimMapping {
    fn outside(&self) -> SocketAddr {
        self.outside
    }

    fn by(&self) -> MappedBy {
        MappedBy::Pcp
    }

    async fn remove(self: Box<Self>) {}
}

impl Drop for SimMapping {
    fn drop(&mut self) {
        if let Some(gateway) = lock(&self.map).gateway(self.site) {
            gateway.end_lease(self.outside);
        }
    }
}
