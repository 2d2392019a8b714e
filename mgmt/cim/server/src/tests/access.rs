//! Credentials, roles and waiting times.

use super::lab::{counting_entropy, lab, request_as};
use crate::{Access, AccountError, Accounts, MemoryAccounts, ServerSettings};
use cim_http::Credentials;
use cim_ops::Role;
use std::time::Duration;

const DELETE: &str = "<IPARAMVALUE NAME=\"ClassName\"><CLASSNAME NAME=\"X\"/></IPARAMVALUE>";

#[test]
fn nothing_is_answered_without_a_password() {
    let mut lab = lab(0, false);
    let text = String::from_utf8(request_as("admin:secret", "EnumerateQualifiers", "")).unwrap();
    let bare: String = text
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("Authorization"))
        .collect();
    let answer = lab.send(bare.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("WWW-Authenticate: Basic realm="));
    assert!(!answer.contains("<CIM"));
    let answer = lab.send(&request_as("admin:wrong", "EnumerateQualifiers", ""));
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(
        lab.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .ends_with("Hello.\n")
    );
    assert!(
        lab.send(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
            .starts_with("HTTP/1.1 404")
    );
}

#[test]
fn the_role_reaches_the_operations() {
    let mut lab = lab(0, false);
    let answer = lab.send(&request_as("reader:read", "DeleteClass", DELETE));
    assert!(answer.contains("<ERROR CODE=\"2\""), "{answer}");
    let answer = lab.send(&request_as("admin:secret", "DeleteClass", DELETE));
    assert!(answer.contains("<ERROR CODE=\"6\""), "{answer}");
    let record = lab.server.operations.take_audit().unwrap();
    assert_eq!(
        (record.user.as_str(), record.peer.as_str()),
        ("reader", "192.0.2.1")
    );
}

#[test]
fn guessing_is_slowed_down_but_the_owner_is_not_locked_out() {
    let mut lab = lab(0, false);
    assert!(
        lab.send(&request_as("admin:secret", "EnumerateQualifiers", ""))
            .starts_with("HTTP/1.1 200")
    );
    for _ in 0..5 {
        assert!(
            lab.send(&request_as("admin:guess", "EnumerateQualifiers", ""))
                .starts_with("HTTP/1.1 401")
        );
    }
    let answer = lab.send(&request_as("admin:guess", "EnumerateQualifiers", ""));
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    assert!(answer.contains("Retry-After: "));
    // A password that was right a moment ago is still trusted.
    assert!(
        lab.send(&request_as("admin:secret", "EnumerateQualifiers", ""))
            .starts_with("HTTP/1.1 200")
    );
    lab.now = Duration::from_secs(3);
    assert!(
        lab.send(&request_as("admin:guess", "EnumerateQualifiers", ""))
            .starts_with("HTTP/1.1 401")
    );
}

fn open(password: Option<&str>) -> (Accounts, Option<crate::FirstAccount>) {
    Accounts::open(
        Box::new(MemoryAccounts::default()),
        password,
        &mut counting_entropy(),
    )
    .unwrap()
}

fn check(accounts: &mut Accounts, user: &str, password: &str, seconds: u64) -> Access {
    let credentials = Credentials {
        user: user.to_string(),
        password: password.to_string(),
    };
    accounts.check(
        &ServerSettings::default(),
        &"p".into(),
        &credentials,
        Duration::from_secs(seconds),
    )
}

#[test]
fn the_first_start_makes_an_administrator() {
    let (mut accounts, first) = open(None);
    let first = first.unwrap();
    assert_eq!(first.password.len(), 23);
    assert_eq!(
        check(&mut accounts, "admin", &first.password, 0),
        Access::Granted(Role::Administrator)
    );
    let (_, other) = Accounts::open(
        Box::new(MemoryAccounts::default()),
        None,
        &mut |buffer: &mut [u8]| buffer.fill(9),
    )
    .unwrap();
    assert_ne!(other.unwrap().password, first.password);
}

#[test]
fn changed_and_removed_accounts_lose_their_trust() {
    let (mut accounts, _) = open(Some("one"));
    let mut entropy = counting_entropy();
    assert_eq!(
        check(&mut accounts, "admin", "one", 0),
        Access::Granted(Role::Administrator)
    );
    accounts
        .set("admin".into(), Role::Administrator, "two", &mut entropy)
        .unwrap();
    assert_eq!(check(&mut accounts, "admin", "one", 1), Access::Denied);
    assert_eq!(
        check(&mut accounts, "admin", "two", 1),
        Access::Granted(Role::Administrator)
    );
    accounts
        .set("eve".into(), Role::Operator, "x", &mut entropy)
        .unwrap();
    assert_eq!(
        check(&mut accounts, "eve", "x", 1),
        Access::Granted(Role::Operator)
    );
    accounts
        .set("eve".into(), Role::ReadOnly, "x", &mut entropy)
        .unwrap();
    assert_eq!(
        check(&mut accounts, "eve", "x", 1),
        Access::Granted(Role::ReadOnly)
    );
    accounts.remove("eve").unwrap();
    assert_eq!(check(&mut accounts, "eve", "x", 1), Access::Denied);
}

#[test]
fn the_last_administrator_stays() {
    let (mut accounts, _) = open(Some("one"));
    let mut entropy = counting_entropy();
    assert_eq!(
        accounts.remove("admin"),
        Err(AccountError::LastAdministrator)
    );
    let demoted = accounts.set("admin".into(), Role::Operator, "x", &mut entropy);
    assert_eq!(demoted, Err(AccountError::LastAdministrator));
    accounts
        .set("second".into(), Role::Administrator, "x", &mut entropy)
        .unwrap();
    assert_eq!(accounts.remove("admin"), Ok(()));
    assert_eq!(accounts.remove("nobody"), Err(AccountError::Unknown));
    for bad in ["", "a:b", "a\nb"] {
        let made = accounts.set(bad.to_string().into(), Role::Operator, "x", &mut entropy);
        assert_eq!(made, Err(AccountError::Name), "{bad:?}");
    }
    let made = accounts.set("empty".into(), Role::Operator, "", &mut entropy);
    assert_eq!(made, Err(AccountError::Password));
}

#[test]
fn a_refused_login_is_audited_without_the_password() {
    let mut lab = lab(0, false);
    lab.send(&request_as("admin:guess", "EnumerateQualifiers", ""));
    let record = lab.server.operations.take_audit().unwrap();
    assert_eq!(
        record.to_string(),
        "admin@192.0.2.1 login server: 2 (CIM_ERR_ACCESS_DENIED)"
    );
    for _ in 0..20 {
        lab.send(&request_as("admin:guess", "EnumerateQualifiers", ""));
    }
    let records = std::iter::from_fn(|| lab.server.operations.take_audit());
    assert_eq!(records.count(), 4, "one who has to wait fills no log");
}
