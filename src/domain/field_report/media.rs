//! What a file is by its content, whatever it says it is. A browser that opens what it downloads must never be led to
//! run it, so where a content can be read as two things, the unsafe one wins.

use crate::domain::field_report::{Attachment, Hold, HoldReason};

/// The most bytes of a file: 50 MiB.
pub const FILE_BYTES_MAX: i64 = 50 * 1024 * 1024;
/// What a file may be.
pub const MEDIA_TYPES: [&str; 9] = [
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/heic",
    "video/mp4",
    "audio/mpeg",
    "audio/mp4",
    "application/pdf",
    TEXT,
];
/// What a file is served as that is not what it says.
pub const UNKNOWN: &str = "application/octet-stream";

const TEXT: &str = "text/plain";
const HTML: &str = "text/html";
/// Bytes at both ends of a file in which markup is looked for. Programs that guess look at less.
const WINDOW: usize = 64 * 1024;
/// What makes a browser take a file for a page or a script. Long enough that no photo holds one by chance.
const MARKUP: [&[u8]; 8] =
    [b"<script", b"<iframe", b"<!doctype html", b"<html", b"<svg ", b"<svg>", b"<?php", b"<body"];
/// The longest of them, less one: what a piece of a file must keep of the one before it.
const CARRIED: usize = 13;

/// Looks at a file piece by piece.
#[derive(Debug)]
pub struct Sniffer {
    head: Vec<u8>,
    tail: Vec<u8>,
    /// Whether all so far is UTF-8 without NUL.
    is_text: bool,
    /// The first bytes of a character that the last piece cut.
    cut: Vec<u8>,
    has_markup: bool,
}

impl Default for Sniffer {
    fn default() -> Self {
        let (head, tail, cut) = (Vec::new(), Vec::new(), Vec::new());
        Self { head, tail, is_text: true, cut, has_markup: false }
    }
}

impl Sniffer {
    /// Takes the next piece of the file.
    pub fn update(&mut self, piece: &[u8]) {
        if self.is_text {
            self.is_text = self.goes_on_as_text(piece);
            // All of a text is read, since all of it may be shown.
            let kept = self.tail.len().saturating_sub(CARRIED);
            self.has_markup |= has_markup(&[&self.tail[kept..], piece].concat());
        }
        let room = WINDOW.saturating_sub(self.head.len());
        self.head.extend_from_slice(&piece[..piece.len().min(room)]);
        self.tail.extend_from_slice(&piece[piece.len().saturating_sub(WINDOW)..]);
        if 2 * WINDOW < self.tail.len() {
            self.tail.drain(..self.tail.len() - WINDOW);
        }
    }

    fn goes_on_as_text(&mut self, piece: &[u8]) -> bool {
        if piece.contains(&0) {
            return false;
        }
        let joined = [&self.cut, piece].concat();
        self.cut.clear();
        match std::str::from_utf8(&joined) {
            Ok(_) => true,
            Err(broken) if broken.error_len().is_none() => {
                self.cut.extend_from_slice(&joined[broken.valid_up_to()..]);
                true
            }
            Err(_) => false,
        }
    }

    /// What the whole file is.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        if self.has_markup || has_markup(&self.head) || has_markup(&self.tail) {
            return HTML;
        }
        let known = infer::get(&self.head).map(|found| usual(found.mime_type()));
        match known {
            Some(known) => known,
            None if self.is_text && self.cut.is_empty() => TEXT,
            None => UNKNOWN,
        }
    }
}

/// The usual name of a type that has several.
fn usual(name: &'static str) -> &'static str {
    match name {
        "audio/m4a" => "audio/mp4",
        "image/heif" => "image/heic",
        "video/x-m4v" => "video/mp4",
        other => other,
    }
}

fn has_markup(of: &[u8]) -> bool {
    let mut rest = of;
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        rest = &rest[at..];
        let begins = |tag: &&[u8]| rest.get(..tag.len()).is_some_and(|found| found.eq_ignore_ascii_case(tag));
        if MARKUP.iter().any(begins) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// What a file is served as: what it is, if that is allowed and what its report says.
#[must_use]
pub fn served(declared: &str, is: &str) -> &'static str {
    MEDIA_TYPES.into_iter().find(|allowed| *allowed == is && is == declared).unwrap_or(UNKNOWN)
}

/// Why a file holds a report that declares it; none when it is what the report says.
#[must_use]
pub fn hold_of(declared: &Attachment, size: i64, is: &str) -> Option<Hold> {
    let mut wrong = Vec::new();
    if declared.media_type != is {
        wrong.push(format!("says it is {}, but is {is}", declared.media_type));
    }
    if declared.size != size {
        wrong.push(format!("says it has {} bytes, but has {size}", declared.size));
    }
    if wrong.is_empty() {
        return None;
    }
    let [one, two, three, four, ..] = declared.sha256;
    let text = format!(
        "file {} ({one:02x}{two:02x}{three:02x}{four:02x}) {}; look at it with care, and attach the right file to a new version",
        if declared.name.is_empty() { "without name" } else { &declared.name },
        wrong.join(" and ")
    );
    Some(Hold { reason: HoldReason::MediaType, text, subject: None })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01";

    fn sniffed(pieces: &[&[u8]]) -> &'static str {
        let mut sniffer = Sniffer::default();
        for piece in pieces {
            sniffer.update(piece);
        }
        sniffer.media_type()
    }

    #[test]
    fn files_are_known_by_their_content() {
        assert_eq!(sniffed(&[JPEG]), "image/jpeg");
        assert_eq!(sniffed(&[b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"]), "image/png");
        assert_eq!(sniffed(&[b"RIFF\0\0\0\0WEBPVP8 "]), "image/webp");
        assert_eq!(sniffed(&[b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"]), "image/heic");
        assert_eq!(sniffed(&[b"\0\0\0\x18ftypisom\0\0\0\0isommp41"]), "video/mp4");
        assert_eq!(sniffed(&[b"\0\0\0\x18ftypM4A \0\0\0\0isom"]), "audio/mp4");
        assert_eq!(sniffed(&[b"ID3\x04\0\0\0\0\0\0"]), "audio/mpeg");
        assert_eq!(sniffed(&[b"%PDF-1.7\n"]), "application/pdf");
        assert_eq!(sniffed(&["Minenräumung, 3 m²".as_bytes()]), "text/plain");
        assert_eq!(sniffed(&[b"MZ\x90\0\x03"]), "application/vnd.microsoft.portable-executable");
        assert_eq!(sniffed(&[b"\x01\x02\0"]), UNKNOWN);
        assert_eq!(sniffed(&[b"caf\xe9"]), UNKNOWN, "Latin-1 is not UTF-8");
        assert_eq!(sniffed(&[b"cut \xc3"]), UNKNOWN, "half a character is left");
    }

    #[test]
    fn what_a_browser_may_run_is_no_photo_and_no_text() {
        for page in [
            &b"<!DOCTYPE HTML><title>x</title>"[..],
            b"  \n<HTML><p>hello",
            b"note: <script>alert(1)</script>",
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
            b"<?php system('id');",
        ] {
            assert_eq!(sniffed(&[page]), HTML, "{}", String::from_utf8_lossy(page));
        }
        assert_eq!(sniffed(&[b"<?xml version=\"1.0\"?><a/>"]), "text/xml");
        assert_eq!(sniffed(&[b"#!/bin/sh\nid\n"]), "text/x-shellscript");
        assert_eq!(sniffed(&[JPEG, &[7; 100], b"<ScRiPt>"]), HTML, "a photo that is a page, too");
        let (long, page) = (vec![7_u8; 3 * WINDOW], b"<html><script>");
        assert_eq!(sniffed(&[JPEG, &long, page]), HTML, "at the end as well");
        let text = vec![b'a'; 5 * WINDOW];
        assert_eq!(sniffed(&[&text, b"<scr", b"ipt>", &text]), HTML, "anywhere in a text");
    }

    #[test]
    fn only_what_a_file_is_and_says_is_served() {
        assert_eq!(served("image/jpeg", "image/jpeg"), "image/jpeg");
        assert_eq!(served("image/png", "image/jpeg"), UNKNOWN);
        assert_eq!(served("text/html", "text/html"), UNKNOWN);
    }

    #[test]
    fn a_lie_is_told_with_both_sides() {
        let (sha256, name) = ([0xab; 32], "pit.jpg".to_owned());
        let declared = Attachment { sha256, size: 9, media_type: "image/jpeg".to_owned(), name };
        assert_eq!(hold_of(&declared, 9, "image/jpeg"), None);
        let hold = hold_of(&declared, 8, HTML).unwrap();
        assert_eq!(hold.reason, HoldReason::MediaType);
        assert_eq!(
            hold.text,
            "file pit.jpg (abababab) says it is image/jpeg, but is text/html and says it has 9 bytes, but has 8; \
             look at it with care, and attach the right file to a new version"
        );
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(content in "[a-zé<>! ]{0,40}(<script|<b>)?[a-zé]{0,20}", cut in 0_usize..60) {
            let bytes = content.as_bytes();
            let (one, two) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(sniffed(&[one, two]), sniffed(&[bytes]));
        }
    }
}
