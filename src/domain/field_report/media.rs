//! What a file is by its content, whatever it says it is. A browser that opens what it downloads must never be led to
//! run it, so where a content can be read as two things, the unsafe one wins.

use memchr::memchr_iter;

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
pub const WINDOW: usize = 64 * 1024;
/// What makes a browser take a file for a page or a script.
const MARKUP: [&[u8]; 8] =
    [b"<script", b"<iframe", b"<!doctype html", b"<html", b"<svg ", b"<svg>", b"<?php", b"<body"];
/// The same in a file that begins as a photo does. Noise holds five given bytes in one of a hundred thousand photos, so
/// these are longer.
const MARKUP_IN_NOISE: [&[u8]; 11] = [
    b"<script",
    b"<iframe",
    b"<!doctype html",
    b"<html>",
    b"<html ",
    b"<svg xmlns",
    b"<svg onload",
    b"<?php ",
    b"<?php\n",
    b"<body>",
    b"<body ",
];
/// The longest of them, less one: what a piece of a text must keep of the one before it.
const CARRIED: usize = 13;

/// Looks at a file piece by piece. How it is cut into pieces makes no difference.
#[derive(Debug)]
pub struct Sniffer {
    head: Vec<u8>,
    /// Whether all so far is UTF-8 without NUL.
    is_text: bool,
    /// The first bytes of a character that the last piece cut.
    cut: Vec<u8>,
    /// The last bytes of a text.
    carried: Vec<u8>,
    /// Whether a text so far holds markup.
    has_markup: bool,
}

impl Default for Sniffer {
    fn default() -> Self {
        Self { head: Vec::new(), is_text: true, cut: Vec::new(), carried: Vec::new(), has_markup: false }
    }
}

impl Sniffer {
    /// Takes the next piece of the file.
    pub fn update(&mut self, piece: &[u8]) {
        if self.is_text {
            self.is_text = self.goes_on_as_text(piece);
        }
        if self.is_text {
            // All of a text is read, since all of it may be shown.
            let joined = [&self.carried, piece].concat();
            self.has_markup |= has_markup(&joined, &MARKUP);
            self.carried = joined[joined.len().saturating_sub(CARRIED)..].to_vec();
        }
        let room = WINDOW.saturating_sub(self.head.len());
        self.head.extend_from_slice(&piece[..piece.len().min(room)]);
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

    /// What the whole file is, given its last [`WINDOW`] bytes, or all of a shorter one.
    #[must_use]
    pub fn media_type(&self, tail: &[u8]) -> &'static str {
        let known = infer::get(&self.head).map(|found| usual(found.mime_type()));
        let is_noise = known.is_some_and(|known| !known.starts_with("text/"));
        let tags: &[&[u8]] = if is_noise { &MARKUP_IN_NOISE } else { &MARKUP };
        let tail = &tail[tail.len().saturating_sub(WINDOW)..];
        let found = if self.is_text {
            self.has_markup
        } else {
            has_markup(&self.head, tags) || has_markup(tail, tags)
        };
        match known {
            _ if found => HTML,
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

fn has_markup(of: &[u8], tags: &[&[u8]]) -> bool {
    memchr_iter(b'<', of).any(|at| {
        let after = of.get(at + 1).map(u8::to_ascii_lowercase);
        let begins =
            |tag: &&[u8]| of[at..].get(..tag.len()).is_some_and(|found| found.eq_ignore_ascii_case(tag));
        // Most are followed by something else, in noise.
        tags.iter().filter(|tag| tag.get(1).copied() == after).any(begins)
    })
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
        let whole = pieces.concat();
        sniffer.media_type(&whole[whole.len().saturating_sub(WINDOW)..])
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
    fn five_bytes_of_noise_make_no_page_of_a_photo() {
        for tag in [&b"<html"[..], b"<HtMl\x80", b"<svg ", b"<body\xff", b"<?php"] {
            assert_eq!(sniffed(&[JPEG, &[7; 100], tag, &[9; 100]]), "image/jpeg", "{tag:?}");
            assert_eq!(sniffed(&[b"\x01\x02\0", tag]), HTML, "what is nothing else may be a page: {tag:?}");
        }
        assert_eq!(sniffed(&[JPEG, b"<body onload=alert(1)>"]), HTML);
    }

    #[test]
    fn markup_counts_at_the_ends_of_what_is_no_text_and_nowhere_else() {
        let noise = vec![0xfe_u8; WINDOW];
        let text = vec![b'a'; 2 * WINDOW];
        assert_eq!(sniffed(&[&text, b"<script", &noise, &noise]), UNKNOWN, "it began as a text only");
        assert_eq!(sniffed(&[JPEG, &noise, b"<script", &noise]), "image/jpeg", "just before the window");
        assert_eq!(sniffed(&[JPEG, &noise, b"<script", &noise[7..]]), HTML);
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

    /// Long files: noise or text before and after a tag, which may stand at the edge of a window.
    fn long() -> impl Strategy<Value = Vec<u8>> {
        let fill = prop_oneof![Just(b'a'), Just(0xfe_u8), Just(0_u8)];
        let length = prop_oneof![0..300_usize, WINDOW - 40..WINDOW + 40, 2 * WINDOW - 40..2 * WINDOW + 40];
        let part = (fill, length).prop_map(|(byte, length)| vec![byte; length]);
        let tag = prop_oneof![
            Just(&b"<html"[..]),
            Just(&b"<SCRIPT"[..]),
            Just(&b"<!DOCTYPE html"[..]),
            Just(&b"<svg>"[..]),
            Just(&b"<b>"[..]),
            Just("é".as_bytes()),
        ];
        let magic = prop_oneof![Just(JPEG), Just(&b""[..]), Just(&b"%PDF-1.7\n"[..])];
        (magic, part.clone(), tag, part.clone(), part).prop_map(|(magic, before, tag, after, end)| {
            [magic, before.as_slice(), tag, after.as_slice(), end.as_slice()].concat()
        })
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(content in "[a-zé<>! ]{0,40}(<script|<b>)?[a-zé]{0,20}", cut in 0_usize..60) {
            let bytes = content.as_bytes();
            let (one, two) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(sniffed(&[one, two]), sniffed(&[bytes]));
        }

        #[test]
        fn pieces_of_long_files_do_not_matter(content in long(), step in 1_usize..100_000, first in 0_usize..200_000) {
            let (one, rest) = content.split_at(first.min(content.len()));
            // A few bytes at a time would take long.
            let pieces: Vec<&[u8]> = std::iter::once(one).chain(rest.chunks(step.max(rest.len() / 50))).collect();
            prop_assert_eq!(sniffed(&pieces), sniffed(&[&content]));
        }
    }
}
