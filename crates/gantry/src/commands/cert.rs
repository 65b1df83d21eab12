//! `gantry cert`: certificates of a local authority.

use super::usage::usage;
use crate::configuration::{Configuration, Overrides};
use anyhow::Context;
use gantry_tls::authority::{Authority, Folder, Founding, KeyKind, file_name, write};
use gantry_tls::expiry::{self, Summary};
use std::collections::HashSet;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Make and show certificates, so that HTTPS and DICOM over TLS work without another authority.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry cert init                          an authority and the server's certificate
  gantry cert issue --ae CT1 --out usb/     a certificate and key for a modality
  gantry cert list                          what was issued, and until when
  gantry cert renew                         the server's certificate, anew (a server does it itself)
  gantry cert revoke CT1                    not to be trusted any more
  gantry cert trust                         how browsers and modalities come to trust the authority

A running server takes what has changed within seconds; open connections stay.")]
pub struct Cert {
    #[command(subcommand)]
    action: Action,
    /// Configuration file (TOML).
    #[arg(long, global = true, env = "GANTRY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder [default: the configuration's, gantry-data].
    #[arg(long, global = true, env = "GANTRY_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make an authority, and the server's certificate.
    Init(Init),
    /// Make a certificate and a key for a modality or another peer.
    Issue(Issue),
    /// What was issued, and until when.
    List(List),
    /// What a certificate says.
    Show(Show),
    /// Make a certificate anew: the server's, or that of a peer.
    Renew(Renew),
    /// Declare the certificate of a peer invalid.
    Revoke(Revoke),
    /// How others come to trust the authority.
    Trust(Trust),
}

#[derive(Debug, clap::Args)]
struct Init {
    /// Names and addresses of this server [default: those that this machine knows of itself].
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// What the authority is called [default: Gantry CA of the first name].
    #[arg(long, value_name = "NAME")]
    authority: Option<String>,
    /// RSA keys instead of elliptic curves, for modalities that know nothing else.
    #[arg(long)]
    rsa: bool,
    /// Where others find the revocation list [default: /tls/ca.crl of the server over HTTPS].
    #[arg(long, value_name = "URL")]
    crl_url: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Issue {
    /// What the peer is called: its AE title.
    #[arg(long, value_name = "AE")]
    ae: String,
    /// Names and addresses under which it is reached, if it listens.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// How long it is valid.
    #[arg(long, value_name = "DAYS", default_value_t = 730, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Folder for the files.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Print one JSON object for each.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// A file (PEM), or what was issued to this name [default: the server's].
    what: Option<String>,
    /// Print one JSON object for each.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Renew {
    /// To whom it was issued [default: the server].
    peer: Option<String>,
    /// Names and addresses of this server from now on.
    #[arg(long = "name", value_name = "NAME", conflicts_with = "peer")]
    names: Vec<String>,
    /// Folder for the files of a peer.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// To whom it was issued.
    peer: String,
}

#[derive(Debug, clap::Args)]
struct Trust {
    /// Make this machine trust it (Debian's update-ca-certificates; as root).
    #[arg(long)]
    system: bool,
}

/// Does it.
pub fn run(cert: &Cert) -> anyhow::Result<ExitCode> {
    let configuration = Configuration::load(&Overrides {
        config: cert.config.clone(),
        data: cert.data.clone(),
        ..Overrides::default()
    })?;
    let folder = Folder::of(&configuration.archive.data);
    match &cert.action {
        Action::Init(action) => init(action, &folder, &configuration)?,
        Action::Issue(action) => issue(action, &folder)?,
        Action::List(action) => list(action, &folder)?,
        Action::Show(action) => show(action, &folder, &configuration)?,
        Action::Renew(action) => renew(action, &folder)?,
        Action::Revoke(action) => revoke(action, &folder)?,
        Action::Trust(action) => trust(action, &folder)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn init(init: &Init, folder: &Folder, configuration: &Configuration) -> anyhow::Result<()> {
    let names = if init.names.is_empty() {
        own_names()
    } else {
        with_this_machine(&init.names)
    };
    let first = names.first().map_or("localhost", String::as_str);
    let authority = init
        .authority
        .clone()
        .unwrap_or_else(|| format!("Gantry CA of {first}"));
    let port = configuration
        .listen
        .https
        .address(None)
        .map_or(8443, |address| address.port());
    let crl_url = init
        .crl_url
        .clone()
        .unwrap_or_else(|| format!("https://{first}:{port}/tls/ca.crl"));
    Authority::found(
        folder,
        &Founding {
            name: &authority,
            server_names: &names,
            keys: if init.rsa {
                KeyKind::Rsa
            } else {
                KeyKind::P256
            },
            crl_url: Some(&crl_url),
        },
    )?;
    let server = first_of(&folder.server_certificate())?;
    println!("{authority} is made in {}", folder.path().display());
    println!("  server       {}", server.names.join(", "));
    println!(
        "  valid until  {} (a running server renews it)",
        server.end()
    );
    println!("  fingerprint  {}", fingerprint(&folder.ca_certificate())?);
    println!();
    println!("gantry serve now answers over HTTPS and DICOM over TLS as well. What comes next:");
    println!("  gantry cert trust             how browsers come to trust it");
    println!("  gantry cert issue --ae CT1    a certificate for a modality");
    Ok(())
}

fn issue(issue: &Issue, folder: &Folder) -> anyhow::Result<()> {
    let authority = Authority::open(folder)?;
    let target = Target::new(&issue.out, &issue.ae, folder)?;
    target.check_absent()?;
    let issued = authority.issue(&issue.ae, &issue.names, issue.days)?;
    target.write(&issued)?;
    target.report(&issue.ae)
}

fn renew(renew: &Renew, folder: &Folder) -> anyhow::Result<()> {
    let authority = Authority::open(folder)?;
    let Some(peer) = &renew.peer else {
        if renew.names.is_empty() {
            authority.renew_server()?;
        } else {
            authority.issue_server(&with_this_machine(&renew.names))?;
        }
        let server = first_of(&folder.server_certificate())?;
        println!(
            "the server's certificate for {} is valid until {}",
            server.names.join(", "),
            server.end()
        );
        return Ok(());
    };
    let target = Target::new(&renew.out, peer, folder)?;
    target.check_absent()?;
    let issued = authority.issue_again(peer)?;
    target.write(&issued)?;
    target.report(peer)
}

fn revoke(revoke: &Revoke, folder: &Folder) -> anyhow::Result<()> {
    let revoked = Authority::open(folder)?.revoke(&revoke.peer)?;
    println!(
        "{} (serial number {}) is revoked; a running server knows within seconds, and others by {}",
        revoked.subject,
        revoked.serial,
        folder.crl().display()
    );
    Ok(())
}

fn list(list: &List, folder: &Folder) -> anyhow::Result<()> {
    let revoked: HashSet<String> = Authority::revoked(folder)?
        .into_iter()
        .map(|(serial, _)| serial)
        .collect();
    let summaries = Authority::list(folder)?;
    if summaries.is_empty() {
        println!("nothing was issued yet: gantry cert init");
    }
    for summary in summaries {
        let state = match summary.days_left() {
            _ if revoked.contains(&summary.serial) => "revoked".to_owned(),
            days if days < 0 => "ended".to_owned(),
            days => format!("{days} days left"),
        };
        if list.json {
            println!("{}", json(&summary, Some(&state)));
        } else {
            println!("{}  until {}  {state}", summary.subject, summary.end());
            println!("  {}", summary.fingerprint);
        }
    }
    Ok(())
}

fn show(show: &Show, folder: &Folder, configuration: &Configuration) -> anyhow::Result<()> {
    let file = match &show.what {
        Some(what) if Path::new(what).is_file() => PathBuf::from(what),
        Some(what) => {
            let issued = folder.issued().join(format!("{}.pem", file_name(what)));
            if !issued.is_file() {
                return Err(usage(format!(
                    "{what:?} is neither a file nor somebody to whom a certificate was issued"
                )));
            }
            issued
        }
        None => {
            gantry_tls::Files::find(&configuration.tls, &configuration.archive.data)
                .context("there is no certificate yet: gantry cert init")?
                .certificate
        }
    };
    for summary in expiry::summaries(&file)? {
        if show.json {
            println!("{}", json(&summary, None));
            continue;
        }
        println!("subject      {}", summary.subject);
        println!("issuer       {}", summary.issuer);
        if !summary.names.is_empty() {
            println!("names        {}", summary.names.join(", "));
        }
        println!("valid        {} to {}", summary.beginning(), summary.end());
        println!("serial       {}", summary.serial);
        println!("fingerprint  {}", summary.fingerprint);
    }
    Ok(())
}

fn trust(trust: &Trust, folder: &Folder) -> anyhow::Result<()> {
    let ca = folder.ca_certificate();
    let fingerprint = fingerprint(&ca)?;
    if trust.system {
        return trust_here(&ca);
    }
    let ca = ca.display();
    println!("The authority's certificate is {ca}");
    println!("  {fingerprint}");
    println!("Copy it to those who shall trust this server, and compare the fingerprint there.");
    println!();
    println!("  this machine (Debian)   gantry cert trust --system");
    println!("  Windows, as admin       certutil -addstore Root ca.pem");
    println!("  macOS                   security add-trusted-cert -d -k \\");
    println!("                            /Library/Keychains/System.keychain ca.pem");
    println!("  Firefox                 Settings, Certificates, Authorities, Import");
    println!("  dcmtk                   storescu +tls CT1.key CT1.pem +cf ca.pem …");
    println!("  gantry                  gantry echo PACS@host:2762 --tls --ca ca.pem \\");
    println!("                            --cert CT1.pem --cert-key CT1.key");
    println!();
    println!("Whoever has the key beside it can pretend to be any server to those who trust it:");
    println!("keep {} to yourself.", folder.ca_key().display());
    Ok(())
}

/// As Debian, Ubuntu and their kin have it.
fn trust_here(ca: &Path) -> anyhow::Result<()> {
    let folder = Path::new("/usr/local/share/ca-certificates");
    anyhow::ensure!(
        folder.is_dir(),
        "this system has no {}: add {} to its trusted authorities by hand",
        folder.display(),
        ca.display()
    );
    let copy = folder.join("gantry-ca.crt");
    std::fs::copy(ca, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
    let status = Command::new("update-ca-certificates")
        .status()
        .context("update-ca-certificates cannot be run")?;
    anyhow::ensure!(status.success(), "update-ca-certificates failed");
    Ok(())
}

/// The files that a peer gets.
struct Target {
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    ca_text: String,
}

impl Target {
    fn new(out: &Path, name: &str, folder: &Folder) -> anyhow::Result<Self> {
        std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        let name = file_name(name);
        let ca = folder.ca_certificate();
        Ok(Self {
            certificate: out.join(format!("{name}.pem")),
            key: out.join(format!("{name}.key")),
            ca: out.join("ca.pem"),
            ca_text: std::fs::read_to_string(&ca)
                .with_context(|| format!("cannot read {}", ca.display()))?,
        })
    }

    /// A key that is in use somewhere must not be lost by mistake.
    fn check_absent(&self) -> anyhow::Result<()> {
        for file in [&self.certificate, &self.key] {
            anyhow::ensure!(!file.exists(), "{} is there already", file.display());
        }
        Ok(())
    }

    fn write(&self, issued: &gantry_tls::authority::Issued) -> anyhow::Result<()> {
        write(&self.key, &issued.key, 0o600)?;
        write(&self.certificate, &issued.certificate, 0o644)?;
        if !self.ca.exists() {
            write(&self.ca, &self.ca_text, 0o644)?;
        }
        Ok(())
    }

    fn report(&self, name: &str) -> anyhow::Result<()> {
        let summary = first_of(&self.certificate)?;
        println!(
            "certificate  {}  until {}",
            self.certificate.display(),
            summary.end()
        );
        println!("key          {}  for {name} alone", self.key.display());
        println!("authority    {}", self.ca.display());
        println!("To accept {name} only with this certificate:");
        println!("  [[peer]]");
        println!("  ae_title = {name:?}");
        println!("  certificate = {:?}", summary.fingerprint);
        Ok(())
    }
}

fn first_of(file: &Path) -> anyhow::Result<Summary> {
    expiry::summaries(file)?
        .into_iter()
        .next()
        .with_context(|| format!("{} has no certificate", file.display()))
}

fn fingerprint(file: &Path) -> anyhow::Result<String> {
    Ok(first_of(file)?.fingerprint)
}

fn json(summary: &Summary, state: Option<&str>) -> serde_json::Value {
    serde_json::json!({
        "subject": summary.subject,
        "issuer": summary.issuer,
        "names": summary.names,
        "serial": summary.serial,
        "fingerprint": summary.fingerprint,
        "not_before": summary.beginning(),
        "not_after": summary.end(),
        "days_left": summary.days_left(),
        "state": state,
    })
}

/// The names and addresses that this machine knows of itself.
fn own_names() -> Vec<String> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    // Some have names that no certificate can have.
    let is_name = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let host = (is_name && !host.is_empty()).then(|| host.to_ascii_lowercase());
    let names: Vec<String> = host.into_iter().chain(outward_address()).collect();
    with_this_machine(&names)
}

/// The address from which this machine would reach others. Nothing is sent.
fn outward_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // An address for documentation (RFC 5737): any would do.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then(|| address.to_string())
}

/// With those by which the machine calls itself.
fn with_this_machine(names: &[String]) -> Vec<String> {
    let mut all = names.to_vec();
    for own in ["localhost", "127.0.0.1", "::1"] {
        if !all.iter().any(|name| name == own) {
            all.push(own.to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_always_known_to_its_own_machine() {
        let names = with_this_machine(&["pacs.example".into(), "127.0.0.1".into()]);
        assert_eq!(names, ["pacs.example", "127.0.0.1", "localhost", "::1"]);
        assert!(own_names().contains(&"localhost".to_owned()));
    }
}
