//! What the owner of the server decides about its protocol side.

use cim_http::{Limits, Millis};
use core::time::Duration;

/// The settings of the protocol layer.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// What a client may demand of a connection.
    pub http: Limits,
    /// Bytes of a response that wait for the client; more are made when it has read some.
    pub output: usize,
    /// How long a client may read nothing of a waiting response.
    pub write_pause: Duration,
    /// Wrong passwords for one account from one peer before both have to wait.
    pub free_failures: u32,
    /// The first wait after that; it doubles with each further failure.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
    /// How long a verified password is taken without computing its hash again.
    pub trust: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            http: Limits {
                // GET and HEAD are a greeting for people and read images, which PUT and DELETE change; OPTIONS tells what
                // there is.
                methods: &["POST", "M-POST", "GET", "HEAD", "OPTIONS", "PUT", "DELETE"],
                // The image library knows how much room it has.
                upload: 1 << 40,
                upload_time: Millis(4 * 60 * 60 * 1000),
                idle_time: Millis(60_000),
                ..Limits::default()
            },
            output: 32 * 1024,
            write_pause: Duration::from_secs(30),
            free_failures: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            trust: Duration::from_secs(300),
        }
    }
}
