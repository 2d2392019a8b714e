//! What a system boots as the one text that DSP1012 has for it: BootString.
//!
//! A fact a line, its name first: `kernel`, `initrd`, `command-line`, `format`, `load-address`, `entry-address`, and for each
//! module `module`, with `arguments` behind it. `\\`, `\n` and `\r` in a value stand for a backslash and the ends of lines.
//! Shown by `shown`, read by `given`.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{Display, Write};

use cim_domain::one_line::{escaped, unescaped};
use cim_domain::{Boot, BootFormat, Problem};

use crate::given::invalid;

/// The text of what a system boots.
pub(crate) fn of(boot: &Boot) -> String {
    let mut text = String::new();
    let mut add = |name: &str, value: Option<&dyn Display>| {
        if let Some(value) = value {
            let line_break = if text.is_empty() { "" } else { "\n" };
            // Writing to a string cannot fail.
            let _ = write!(text, "{line_break}{name} {}", escaped(&value.to_string()));
        }
    };
    fn some<T: Display>(value: Option<&T>) -> Option<&dyn Display> {
        value.map(|value| value as &dyn Display)
    }
    add("kernel", some(boot.kernel.as_ref()));
    add("initrd", some(boot.initrd.as_ref()));
    add("command-line", some(boot.command_line.as_ref()));
    let format = boot.format.map(BootFormat::name);
    add("format", some(format.as_ref()));
    add("load-address", some(boot.load_address.as_ref()));
    add("entry-address", some(boot.entry_address.as_ref()));
    for module in &boot.modules {
        add("module", Some(&module.image));
        if !module.arguments.is_empty() {
            add("arguments", Some(&module.arguments));
        }
    }
    text
}

/// What a text says.
///
/// # Errors
/// Which line nobody understands.
pub(crate) fn read(text: &str) -> Result<Boot, Problem> {
    let mut boot = Boot::default();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let understood = unescaped(value).and_then(|value| boot.take_fact(name, value));
        if understood.is_none() {
            let what = format!("The line \"{line}\" is not understood");
            let fix = "Give lines that begin with kernel, initrd, command-line, format, load-address, entry-address, \
                       module, or behind a module arguments";
            return Err(invalid("BH-BOOT-STRING", what, fix));
        }
    }
    Ok(boot)
}

#[cfg(test)]
mod tests {
    use cim_domain::{BootModule, ImageName};

    use super::*;

    fn image(name: &str) -> ImageName {
        ImageName::new(name).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let boot = Boot {
            kernel: Some(image("my kernel")),
            initrd: Some(image("initrd.img")),
            command_line: Some(" a=\\b\nc ".into()),
            format: Some(BootFormat::Flat),
            modules: vec![
                BootModule {
                    image: image("one"),
                    arguments: String::new(),
                },
                BootModule {
                    image: image("two"),
                    arguments: "x y".into(),
                },
            ],
            load_address: Some(4096),
            entry_address: Some(5000),
        };
        assert_eq!(read(&of(&boot)).unwrap(), boot);
        assert_eq!(of(&Boot::default()), "");
        let linux = read("kernel vmlinuz\n\ncommand-line console=ttyS0 quiet\n").unwrap();
        assert_eq!(
            of(&linux),
            "kernel vmlinuz\ncommand-line console=ttyS0 quiet"
        );
    }

    #[test]
    fn lines_that_nobody_understands_are_refused() {
        for text in [
            "disk 0",
            "kernel",
            "kernel a/b",
            "format coff",
            "load-address soon",
            "arguments x",
            "command-line a\\b",
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.what.contains(text), "{problem}");
        }
    }
}
