//! The listing of `GET /images`, in JSON (RFC 8259).

use super::checksum::to_hex;
use super::{ImageAccess, ImageFacts, ImageSpace};
use alloc::string::String;
use core::fmt::Write;

/// The listing of all images.
pub(crate) fn listing(space: ImageSpace, images: &[ImageFacts]) -> String {
    let mut text = alloc::format!(
        "{{\"capacity\": {}, \"free\": {}, \"images\": [",
        space.capacity,
        space.free
    );
    for (index, image) in images.iter().enumerate() {
        text += if index == 0 { "\n  " } else { ",\n  " };
        object(&mut text, image);
    }
    text += "\n]}\n";
    text
}

/// One image.
pub(crate) fn describe(image: &ImageFacts) -> String {
    let mut text = String::new();
    object(&mut text, image);
    text += "\n";
    text
}

fn object(text: &mut String, image: &ImageFacts) {
    text.push_str("{\"name\": ");
    string(text, &image.name);
    // Writing to a String cannot fail.
    let _ = write!(text, ", \"bytes\": {}, \"sha256\": ", image.bytes);
    match &image.sha256 {
        Some(sum) => string(text, &to_hex(sum)),
        None => text.push_str("null"),
    }
    let _ = write!(text, ", \"added\": {}, \"format\": ", image.added);
    string(text, &image.format);
    text.push_str(match image.access {
        ImageAccess::Changeable => ", \"origin\": \"disk\"}",
        ImageAccess::Fixed => ", \"origin\": \"boot module\"}",
    });
}

fn string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => {
                text.push('\\');
                text.push(character);
            }
            control if control < ' ' => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_json() {
        let image = ImageFacts {
            name: "a\"\n".into(),
            bytes: 5,
            sha256: None,
            added: 7,
            format: "data".into(),
            access: ImageAccess::Fixed,
        };
        let space = ImageSpace {
            capacity: 10,
            free: 4,
        };
        assert_eq!(
            listing(space, &[image.clone(), image]),
            "{\"capacity\": 10, \"free\": 4, \"images\": [\n  \
             {\"name\": \"a\\\"\\u000a\", \"bytes\": 5, \"sha256\": null, \"added\": 7, \"format\": \"data\", \
             \"origin\": \"boot module\"},\n  \
             {\"name\": \"a\\\"\\u000a\", \"bytes\": 5, \"sha256\": null, \"added\": 7, \"format\": \"data\", \
             \"origin\": \"boot module\"}\n]}\n"
        );
        assert!(listing(space, &[]).contains("\"images\": [\n]"));
    }
}
