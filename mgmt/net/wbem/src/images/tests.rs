//! Images over a connection, with the disk's and the keeper's tasks as in the partition.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use image_library::{Medium, MediumSectors};
use mgmt_executor::{Executor, Instant, Progress, Signal};
use mgmt_link::{Connection, Peer, Phase, Service};
use store::{Opened, SECTOR_BYTES, Step, open};

use super::{KeptImages, open_library};
use crate::{Keeper, Wbem, WbemConfig, WbemService};

/// A disk whose requests end at the executor's next pass.
#[derive(Clone, Default)]
struct SlowDisk(Rc<RefCell<BTreeMap<u64, [u8; SECTOR_BYTES]>>>);

/// 65 MiB of configuration store and 4 MiB of data area.
const SECTORS: u64 = 69 << 11;

async fn a_moment() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Medium for SlowDisk {
    type Error = &'static str;

    fn sectors(&self) -> u64 {
        SECTORS
    }

    async fn read(&self, sector: u64, into: &mut [u8]) -> Result<(), &'static str> {
        a_moment().await;
        for (offset, bytes) in into.chunks_mut(SECTOR_BYTES).enumerate() {
            let found = self.0.borrow().get(&(sector + offset as u64)).copied();
            bytes.copy_from_slice(&found.unwrap_or([0; SECTOR_BYTES]));
        }
        Ok(())
    }

    async fn write(&self, sector: u64, data: &[u8]) -> Result<(), &'static str> {
        a_moment().await;
        for (offset, bytes) in data.chunks(SECTOR_BYTES).enumerate() {
            let at = sector + offset as u64;
            self.0.borrow_mut().insert(at, bytes.try_into().unwrap());
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), &'static str> {
        a_moment().await;
        Ok(())
    }
}

/// A partition over a disk.
struct Partition {
    executor: Executor,
    wbem: Wbem,
    news: Signal,
    password: Rc<RefCell<Option<String>>>,
}

async fn commits(disk: SlowDisk, keeper: Keeper) {
    loop {
        keeper.due().wait().await;
        let Some(commit) = keeper.begin() else {
            continue;
        };
        for step in commit.steps() {
            match step {
                Step::Write { sector, data } => disk.write(*sector, data).await.unwrap(),
                Step::Flush => disk.flush().await.unwrap(),
            }
        }
        keeper.finish(commit);
    }
}

fn start(disk: &SlowDisk) -> Partition {
    let mut executor = Executor::new();
    let made = Rc::new(RefCell::new(None));
    let (spawner, result, disk) = (executor.spawner(), made.clone(), disk.clone());
    executor.spawner().spawn(async move {
        let opened = open(&MediumSectors(&disk)).await.unwrap();
        let (Opened::Existing(store) | Opened::Blank(store)) = opened;
        let start = store.data_start();
        let keeper = Keeper::on_disk(store);
        spawner.spawn(commits(disk.clone(), keeper.clone()));
        let news = Signal::new();
        keeper.tell(news.clone());
        let (library, damages) = open_library(disk, &keeper, start);
        assert_eq!(damages, []);
        let images = KeptImages::new(library, keeper.clone(), spawner);
        let (wbem, first) = Wbem::open(WbemConfig {
            keeper,
            version: "1.0",
            greeting: "hello\n".into(),
            unix_base: 0,
            password: None,
            entropy: &mut |bytes| bytes.fill(7),
            images: Some(Box::new(images)),
            install: &mut |builder| (builder, Vec::new()),
        })
        .unwrap();
        *result.borrow_mut() = Some((wbem, news, first.map(|first| first.password)));
    });
    while executor.run_ready() == Progress::Ran {}
    let (wbem, news, password) = made.take().unwrap();
    Partition {
        executor,
        wbem,
        news,
        password: Rc::new(RefCell::new(password)),
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_nanoseconds(seconds * 1_000_000_000)
}

impl Partition {
    fn connect(&self) -> Box<dyn Connection> {
        let peer = Peer::Network("192.0.2.1:1024".parse().unwrap());
        WbemService::for_network(self.wbem.clone()).connect(peer, at(1))
    }

    /// Sends a request as a transport does it, woken by news alone, and returns the answer.
    fn exchange(&mut self, connection: &mut dyn Connection, mut bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        for _ in 0..10_000 {
            loop {
                let taken = match bytes {
                    [] => 0,
                    // A packet's worth.
                    bytes => connection.receive(&bytes[..bytes.len().min(1460)], at(1)),
                };
                bytes = &bytes[taken..];
                let output = connection.output(at(1)).to_vec();
                connection.sent(output.len(), at(1));
                answer.extend_from_slice(&output);
                if taken + output.len() == 0 {
                    break;
                }
            }
            self.executor.run_ready();
            if !self.news.take() && self.executor.run_ready() == Progress::Idle {
                return answer;
            }
        }
        panic!("the exchange does not end");
    }
}

fn head(password: &str, line: &str, fields: &str) -> Vec<u8> {
    let credentials = cim_server_credentials(password);
    format!("{line} HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials}\r\n{fields}\r\n").into()
}

fn cim_server_credentials(password: &str) -> String {
    let mut text = String::from("Basic ");
    cim_http::base64::encode(format!("admin:{password}").as_bytes(), &mut text);
    text
}

#[test]
fn an_upload_is_on_the_disk_when_it_is_answered() {
    let disk = SlowDisk::default();
    let mut partition = start(&disk);
    let password = partition.password.take().unwrap();
    let body: Vec<u8> = (0..1_000_000u32).map(|n| (n >> 3) as u8).collect();
    let fields = format!("Content-Length: {}\r\n", body.len());
    let request = [head(&password, "PUT /images/kernel", &fields), body.clone()].concat();
    let mut connection = partition.connect();
    let answer = partition.exchange(&mut *connection, &request);
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 201"), "{text}");
    drop((partition, connection));

    let mut partition = start(&disk);
    let mut connection = partition.connect();
    let answer = partition.exchange(&mut *connection, &head(&password, "GET /images/kernel", ""));
    assert!(answer.ends_with(&body), "{} bytes", answer.len());
    let answer = partition.exchange(
        &mut *connection,
        &head(&password, "DELETE /images/kernel", ""),
    );
    assert!(answer.starts_with(b"HTTP/1.1 204"));
    let answer = partition.exchange(&mut *connection, &head(&password, "GET /images", ""));
    let text = String::from_utf8_lossy(&answer);
    assert!(
        text.contains("{\"capacity\": 4194304, \"free\": 4194304, \"images\": ["),
        "{text}"
    );
}

#[test]
fn an_upload_that_breaks_off_frees_its_space() {
    let mut partition = start(&SlowDisk::default());
    let password = partition.password.take().unwrap();
    let mut broken = partition.connect();
    let mut request = head(&password, "PUT /images/a", "Content-Length: 3000000\r\n");
    request.extend(vec![1; 500_000]);
    assert_eq!(partition.exchange(&mut *broken, &request), b"");
    let mut connection = partition.connect();
    let put = head(&password, "PUT /images/b", "Content-Length: 2000000\r\n");
    let answer = partition.exchange(&mut *connection, &put);
    assert!(answer.starts_with(b"HTTP/1.1 507"));
    drop(broken);
    let mut connection = partition.connect();
    assert_eq!(partition.exchange(&mut *connection, b""), b"");
    let request = [put, vec![2; 2_000_000]].concat();
    let answer = partition.exchange(&mut *connection, &request);
    assert!(answer.starts_with(b"HTTP/1.1 201"));
    assert_eq!(connection.phase(), Phase::Open);
}

#[test]
fn a_download_that_nobody_reads_stops_reading_the_disk() {
    let mut partition = start(&SlowDisk::default());
    let password = partition.password.take().unwrap();
    let mut connection = partition.connect();
    let fields = "Transfer-Encoding: chunked\r\n";
    let body = [&b"1E8480\r\n"[..], &vec![3; 2_000_000], b"\r\n0\r\n\r\n"].concat();
    let request = [head(&password, "PUT /images/a", fields), body].concat();
    let answer = partition.exchange(&mut *connection, &request);
    assert!(answer.starts_with(b"HTTP/1.1 201"));
    let get = head(&password, "GET /images/a", "");
    connection.receive(&get, at(1));
    for _ in 0..1000 {
        connection.output(at(1));
        if partition.executor.run_ready() == Progress::Idle {
            break;
        }
    }
    let tasks = partition.executor.tasks();
    drop(connection);
    while partition.executor.run_ready() == Progress::Ran {}
    assert_eq!(partition.executor.tasks(), tasks - 1);
}
