//! What `wharf serve` must be told so that it is the server of the deployment: for the dialects that start it.

use crate::deployment::{Deployment, Passive};

/// The flags, each with its value
pub(super) fn serve_flags(deployment: &Deployment) -> Vec<(&'static str, Option<String>)> {
    let mut flags: Vec<(&'static str, Option<String>)> = Vec::new();
    for port in &deployment.control_ports {
        flags.push(("--listen", Some(format!(":{port}"))));
    }
    match deployment.passive {
        Some(Passive::Range(ports)) => {
            flags.push(("--passive-ports", Some(ports.to_string())));
            let when = if deployment.one_port_auto {
                "auto"
            } else {
                "off"
            };
            flags.push(("--one-port", Some(when.to_owned())));
        }
        Some(Passive::DataPorts(ports)) => {
            flags.push(("--data-port", Some(ports.to_string())));
            let when = if deployment.one_port_auto {
                "auto"
            } else {
                "off"
            };
            flags.push(("--one-port", Some(when.to_owned())));
        }
        Some(Passive::OnePort) => flags.push(("--one-port", Some("on".to_owned()))),
        None => {}
    }
    match deployment.active {
        None => flags.push(("--no-active", None)),
        Some(active) => {
            let port = active.source_port.unwrap_or(0);
            flags.push(("--active-port", Some(port.to_string())));
        }
    }
    flags
}
