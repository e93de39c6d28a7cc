//! The rules that `wharf firewall` prints, loaded: with default drop and only these rules every offered data mode
//! works, and nothing else does.
//!
//! Each row of [`rows`] is a deployment seen from one side. Its rules are loaded into the namespace concerned;
//! transfers by wharf's client and by curl, against `wharf serve` and vsftpd, say what works ([`transfer`]);
//! probes that a witness sees or does not see behind the rules say what passes ([`probes`], [`packet`],
//! [`witness`]). What may pass is written down in the rows, not taken from the program. The golden files of every
//! dialect with a program of its own here are shown to that program ([`accepted`]).

mod accepted;
mod account;
mod balancer;
mod loader;
mod packet;
mod probes;
mod rows;
mod transfer;
mod witness;

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use account::Account;
use loader::{LOADERS, Loader};
use packet::{Kind, Packet};
use probes::{Address, Ends, without_answers};
use rows::{ROWS, Row, Rules, Side, Way};
use transfer::{Bench, By, Transfer, furnish, plan};

use crate::namespace::Namespace;
use crate::network::Network;
use crate::payload::{self, Workspace};
use crate::process::must;
use crate::server::{self, Kind as Server, PASSWORD, Place, ServerPlan, USER};
use crate::tally::{Matrix, Tally, concurrently};
use crate::topology::{self, ClientSide, ServerSide, Topology};
use crate::wire::Wire;
use crate::{Result, Settings};

/// Rows at once. Most of a row is waiting for what must not work.
const AT_ONCE: usize = 6;

/// Transfers of a row at once.
const TRANSFERS: usize = 3;

/// Fills and prints the matrix.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    if settings.wants("golden") {
        accepted::check(tally)?;
    }
    let work = Workspace::create("firewall", false)?;
    let payload = work.path().join("payload.bin");
    payload::write(&payload, payload::SMALL)?;
    fs::write(work.path().join("secret"), PASSWORD)?;
    if settings.wants("haproxy") {
        balancer::check(settings, tally, &work, &payload);
    }
    let rows: Vec<(&Row, Loader)> = ROWS
        .iter()
        .filter(|row| settings.wants(row.name))
        .flat_map(|row| LOADERS.map(|loader| (row, loader)))
        .filter(|(row, loader)| *loader != Loader::IptablesLegacy || row.legacy)
        .filter(|(row, loader)| *loader == Loader::Nft || !matches!(row.rules, Rules::Holes(_)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let answers = concurrently(&rows, AT_ONCE, |(row, loader)| {
        let name = format!(
            "{}-{}",
            row.name.replace([',', ':', ' '], "-"),
            loader.name()
        );
        Scene::build(settings, row, *loader, &work, &name).and_then(|scene| scene.play())
    });
    let mut matrix = Matrix::new(&["rules", "loaded by", "transfers", "probes", "pass"]);
    for ((row, loader), answer) in rows.iter().zip(answers) {
        let what = format!("{} / {}", row.name, loader.name());
        let account = answer.unwrap_or_else(|failure| Account {
            wrong: vec![failure.to_string()],
            ..Account::default()
        });
        let account = match row.rules {
            Rules::Holes(_) => account.with_holes(),
            Rules::Complete | Rules::Beside => account,
        };
        let cells = [account.transfers, account.probes, account.passed];
        let mut cells: Vec<String> = cells.iter().map(ToString::to_string).collect();
        cells.insert(0, loader.name().to_owned());
        if !account.wrong.is_empty() {
            cells[3].push_str(" !!");
        }
        for _ in account.wrong.len()..account.checks {
            tally.pass();
        }
        for wrong in &account.wrong {
            tally.fail(&what, wrong);
        }
        matrix.push(row.name, cells);
    }
    matrix.print(
        "wharf firewall, loaded: transfers that did what the rules are for, single packets, and how many of those \
         were let pass (!! not what must be)",
    );
    Ok(())
}

fn with(mut command: Command, flag: &str) -> Command {
    command.arg(flag);
    command
}

/// The network of a row with its rules loaded.
struct Scene<'a> {
    settings: &'a Settings,
    row: &'a Row,
    network: Network,
    work: &'a Workspace,
    name: &'a str,
    /// All ports, not only the likely ones.
    every: bool,
    /// With another's server as well.
    foreign: bool,
}

impl<'a> Scene<'a> {
    fn build(
        settings: &'a Settings,
        row: &'a Row,
        loader: Loader,
        work: &'a Workspace,
        name: &'a str,
    ) -> Result<Self> {
        let network = Network::build(&Topology {
            client: match (row.masqueraded, row.hairpin) {
                (_, true) => ClientSide::ServerNetwork,
                (true, false) => ClientSide::Nat,
                (false, false) => ClientSide::Public,
            },
            server: if row.translated {
                ServerSide::Forwarded
            } else {
                ServerSide::Public
            },
            client_gateway: if row.masqueraded {
                topology::nats::MASQUERADE
            } else {
                ""
            },
            ..topology::PLAIN
        })?;
        let directory = work.directory(name)?;
        let text = directory.join("rules");
        let mut command = Command::new(&settings.wharf);
        command.args(["firewall", "--dialect", loader.dialect()]);
        command.args(["--side", row.side.word()]).args(row.flags);
        match row.rules {
            Rules::Complete => fs::write(&text, must(with(command, "--complete"), b"")?)?,
            Rules::Beside => fs::write(&text, must(command, b"")?)?,
            Rules::Holes(rules) => fs::write(&text, rules)?,
        }
        let scene = Self {
            settings,
            row,
            network,
            work,
            name,
            every: loader == Loader::Nft && row.opens_little(),
            foreign: loader == Loader::Nft,
        };
        witness::install(scene.filter()?)?;
        loader.load(scene.filter()?, &text, row.rules)?;
        Ok(scene)
    }

    /// Where the rules are.
    fn filter(&self) -> Result<&Namespace> {
        Ok(match self.row.side {
            Side::Server => &self.network.server,
            Side::ServerGateway => self.network.gateway("sgw")?,
            Side::Client => &self.network.client,
            Side::ClientGateway => self.network.gateway("cgw")?,
        })
    }

    fn play(&self) -> Result<Account> {
        let mut account = Account::default();
        self.transfers(&mut account, Server::Wharf, self.row.works, true)?;
        // What the server is made by is no matter of who loads the rules.
        if let Some(works) = self.row.foreign.filter(|_| self.foreign) {
            self.transfers(&mut account, Server::Vsftpd, works, false)?;
        }
        self.probes(&mut account)?;
        Ok(account)
    }

    fn transfers(
        &self,
        account: &mut Account,
        kind: Server,
        works: &[rows::Mode],
        all: bool,
    ) -> Result<()> {
        let payload = self.work.path().join("payload.bin");
        let root = self
            .work
            .directory(&format!("{}/{}", self.name, kind.name()))?;
        furnish(&payload, &root)?;
        let server = server::start(
            kind,
            Place::Namespace(&self.network.server),
            &ServerPlan {
                wharf: &self.settings.wharf,
                directory: &root,
                work: &self
                    .work
                    .directory(&format!("{}/{}.work", self.name, kind.name()))?,
                port: 21,
                user: USER,
                password: PASSWORD,
                passive: topology::RANGE,
                advertise: self.row.translated.then_some("203.0.113.1"),
                max_sessions: 0,
                further: self.row.serve,
                lines: &[],
                tls: None,
            },
        )?;
        let directory = self
            .work
            .directory(&format!("{}/{}.client", self.name, kind.name()))?;
        let bench = Bench {
            row: self.row,
            network: &self.network,
            wharf: &self.settings.wharf,
            payload: &payload,
            root: &root,
            directory: &directory,
            secret: &self.work.path().join("secret"),
        };
        let mut transfers = plan(works, all);
        // Told to be active behind a NAT where that is refused, wharf's client gets the file another way.
        transfers.retain(|it| it.works || it.by != By::Wharf || !self.row.hairpin);
        // Those that must not work are all waiting, and none of them gets in another's way.
        let (able, unable): (Vec<Transfer>, Vec<Transfer>) =
            transfers.iter().partition(|it| it.works);
        let workers = if self.row.one_at_a_time() {
            1
        } else {
            TRANSFERS
        };
        let mut wrong = concurrently(&able, workers, |it| bench.make(*it));
        wrong.extend(concurrently(&unable, unable.len(), |it| bench.make(*it)));
        if kind == Server::Wharf && self.row.helper {
            account.checks += 1;
            account
                .wrong
                .extend(self.announced().err().map(|it| it.to_string()));
        }
        drop(server);
        account.transfers += transfers.len();
        account.checks += transfers.len();
        let wrong = wrong.into_iter().flatten();
        account
            .wrong
            .extend(wrong.map(|it| format!("{}: {it}", kind.name())));
        Ok(())
    }

    /// Who stands where, in the families that the row's probes can have.
    fn ends(&self) -> Vec<Ends> {
        let both = |peer: &str, neighbour: &str| -> Vec<Address> {
            [(peer, true), (neighbour, false)]
                .into_iter()
                .filter_map(|(ip, is_peer)| {
                    Some(Address {
                        ip: ip.parse().ok()?,
                        is_peer,
                    })
                })
                .collect()
        };
        let (mut clients, mut masquerade) = (both("198.51.100.130", "198.51.100.131"), None);
        if self.row.masqueraded {
            // Two clients with one port between them would get another one each.
            clients = both("192.168.10.2", "192.168.10.3");
            clients.truncate(1);
            masquerade = "198.51.100.1".parse().ok();
        }
        if self.row.hairpin {
            clients = both("10.20.0.3", "10.20.0.4");
            clients.truncate(1);
            masquerade = "10.20.0.1".parse().ok();
        }
        let (mut servers, mut inside) = (both("203.0.113.130", "203.0.113.131"), None);
        if self.row.translated {
            servers = both("203.0.113.1", "203.0.113.2");
            inside = Some(both("10.20.0.2", "10.20.0.3"));
        }
        let mut all = vec![Ends {
            clients,
            servers,
            inside,
            masquerade,
        }];
        if !self.row.hairpin {
            all.push(Ends {
                clients: both("2001:db8:c::2", "2001:db8:c::3"),
                servers: both("2001:db8:5::2", "2001:db8:5::3"),
                inside: None,
                masquerade: None,
            });
        }
        all
    }

    /// Single packets in both directions: exactly those that the row allows are seen behind the rules.
    fn probes(&self, account: &mut Account) -> Result<()> {
        let filter = self.filter()?;
        for (number, ends) in self.ends().iter().enumerate() {
            let mut earlier = Vec::new();
            for way in [Way::ToServer, Way::ToClient] {
                if ends.is_hidden(way) {
                    continue;
                }
                let probes = without_answers(
                    ends.probes(self.row, way, self.every && number == 0),
                    &earlier,
                );
                let from = match way {
                    Way::ToServer => &self.network.client,
                    Way::ToClient => &self.network.server,
                };
                account.judge(ends, way, &probes, from, (filter, self.row.rules))?;
                earlier.extend(probes);
            }
        }
        Ok(())
    }

    /// A control connection of which the helper has heard where the next data connection goes: only the client
    /// gets there.
    fn announced(&self) -> Result<()> {
        let mut wire = Wire::login(&self.network.client, self.network.control())?;
        let at = wire.passive()?;
        for ends in &self.ends()[..1] {
            for client in ends.clients.iter().rev() {
                let packet = Packet {
                    kind: Kind::Syn,
                    from: SocketAddr::new(client.ip, 61_005),
                    to: at,
                };
                let seen = witness::pass(&self.network.client, self.filter()?, &[packet])?;
                if seen.contains(&ends.behind(&packet)) != client.is_peer {
                    let word = if client.is_peer {
                        "is closed to"
                    } else {
                        "is open to"
                    };
                    return Err(
                        format!("the announced port {} {word} {}", at.port(), client.ip).into(),
                    );
                }
            }
        }
        Ok(())
    }
}
