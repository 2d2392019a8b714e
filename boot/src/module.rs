//! Boot modules: files that the loader placed in memory for the hypervisor.

use bulkhead_core::addr::{Hpa, HpaRange};
use heapless::String;

use crate::cpio;
use crate::error::BootNote;
use crate::info::{BootInfo, CommandLine, copy_text};
use crate::physical::PhysicalBytes;

/// A module's name.
pub type ModuleName = String<64>;

/// A file in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Module {
    /// Its name: the path in the archive, or the first word that the boot loader gave for it.
    pub name: ModuleName,
    /// Its command line, empty where it has none.
    pub command_line: CommandLine,
    /// Where its bytes are, not aligned.
    pub range: HpaRange,
}

/// What a file's name ends with when it holds the command line of the file named before the dot.
const ARGUMENTS_SUFFIX: &str = ".args";

/// Adds what the loader placed at `range`: the files of a cpio archive, or else one module.
pub(crate) fn add(
    info: &mut BootInfo,
    memory: &impl PhysicalBytes,
    range: HpaRange,
    name: &[u8],
    arguments: &[u8],
) {
    if range.bytes() == 0 {
        return info.note(BootNote::Skipped("an empty boot module"));
    }
    if info.reserved.push(range).is_err() {
        // Unreserved memory would be given away while the module is in it.
        return info.note(BootNote::TooMany("boot modules"));
    }
    let content = usize::try_from(range.bytes())
        .ok()
        .and_then(|bytes| memory.slice(range.start, bytes));
    match content {
        Some(content) if cpio::is_archive(content) => {
            info.archive.get_or_insert(range);
            expand(info, range.start, content);
        }
        Some(_) => push(info, range, name, arguments),
        None => info.note(BootNote::Skipped("a boot module that is out of reach")),
    }
}

fn expand(info: &mut BootInfo, start: Hpa, archive: &[u8]) {
    for file in cpio::Files::new(archive) {
        let Ok(file) = file else {
            return info.note(BootNote::Skipped("the damaged rest of a module archive"));
        };
        if file.name.ends_with(ARGUMENTS_SUFFIX.as_bytes()) {
            continue;
        }
        let range = start
            .checked_add(file.offset as u64)
            .and_then(|start| HpaRange::new(start, file.data.len() as u64));
        let Some(range) = range else {
            return info.note(BootNote::Skipped("a module past the end of memory"));
        };
        let arguments = arguments_of(archive, file.name).unwrap_or(&[]);
        push(info, range, file.name, arguments);
    }
}

/// The contents of `NAME.args`, which may come before or after `NAME` in the archive.
fn arguments_of<'a>(archive: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    cpio::Files::new(archive)
        .map_while(Result::ok)
        .find(|file| file.name.strip_suffix(ARGUMENTS_SUFFIX.as_bytes()) == Some(name))
        .map(|file| file.data.trim_ascii())
}

fn push(info: &mut BootInfo, range: HpaRange, name: &[u8], arguments: &[u8]) {
    let mut module = Module {
        name: String::new(),
        command_line: String::new(),
        range,
    };
    let cut = [
        copy_text(&mut module.name, name, "name of a module"),
        copy_text(
            &mut module.command_line,
            arguments,
            "command line of a module",
        ),
    ];
    for note in cut.into_iter().flatten() {
        info.note(note);
    }
    if info.modules.push(module).is_err() {
        info.note(BootNote::TooMany("boot modules"));
    }
}
