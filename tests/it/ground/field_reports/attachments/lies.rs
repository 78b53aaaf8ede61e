//! Files that are not what their reports say, and names that are paths.

use safelane::rpc::pb;

use super::super::rig::{Tablet, edited, outcome, reasons};
use super::rig::{JPEG, attachment, digits, download, photo, settled, sha256, upload};
use crate::harness::in_world;

/// What a browser would run, under harmless names.
fn lies() -> Vec<(&'static str, Vec<u8>)> {
    let page = b"<!DOCTYPE html><script>fetch('/steal')</script>".to_vec();
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec();
    let polyglot = [JPEG, &[0x90; 200], b"<html><script>alert(1)</script>"].concat();
    let script = b"#!/bin/sh\nrm -rf /\n".to_vec();
    let program = [b"\x7fELF\x02\x01\x01".to_vec(), vec![0; 100]].concat();
    vec![
        ("image/jpeg", page.clone()),
        ("text/plain", [page, b" ".to_vec()].concat()),
        ("image/png", svg),
        ("image/jpeg", polyglot),
        ("text/plain", script),
        ("application/pdf", program),
        ("image/png", photo(1, 500)),
    ]
}

async fn stored(tablet: &Tablet, media_type: &str, content: &[u8]) -> pb::FieldReport {
    let file = attachment(content, media_type, "");
    let report = pb::FieldReport { attachments: vec![file], ..tablet.find() };
    assert_eq!(outcome(&tablet.submit(&report).await.unwrap()), "STORED");
    report
}

#[tokio::test]
async fn a_media_type_that_lies_holds_its_report_and_is_never_served() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        for (says, content) in lies() {
            let report = stored(&tablet, says, &content).await;
            assert!(
                upload(&tablet.service, &report.report_id, &content).await.unwrap().present,
                "nothing is lost"
            );
            let held = tablet.get(&report.report_id, 0).await;
            assert_eq!((held.state(), held.complete), (pb::ReportState::Held, true));
            assert_eq!(reasons(&held.holds), ["MEDIA_TYPE"]);
            let text = &held.holds[0].text;
            assert!(text.contains(&format!("says it is {says}, but is ")), "{text}");
            let (file, sent) =
                download(&tablet.service, &report.report_id, sha256(&content), (0, 0)).await.unwrap();
            assert_eq!(file.media_type, "application/octet-stream", "{says}");
            assert!(sent == content);
            // Whoever lost the answer learns why it is held.
            let again = tablet.submit(&report).await.unwrap();
            assert_eq!((outcome(&again), reasons(&again.holds)), ("ALREADY_STORED", vec!["MEDIA_TYPE"]));
        }
        let listed = pb::ListReportsRequest {
            operator_id: tablet.works.desk.operator_id.clone(),
            hold: pb::HoldReason::MediaType.into(),
            ..Default::default()
        };
        let listed = tablet.service.clone().list_reports(listed).await.unwrap().into_inner().reports;
        assert_eq!(listed.len(), lies().len(), "a reviewer finds them");
    })
    .await;
}

#[tokio::test]
async fn a_report_that_lies_about_a_file_that_is_there_is_held_when_it_comes() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 5_000);
        let honest = stored(&tablet, "image/jpeg", &photo).await;
        upload(&tablet.service, &honest.report_id, &photo).await.unwrap();
        let file = attachment(&photo, "application/pdf", "map.pdf");
        let liar = pb::FieldReport { attachments: vec![file], ..tablet.find() };
        let answer = tablet.submit(&liar).await.unwrap();
        assert_eq!((outcome(&answer), reasons(&answer.holds)), ("HELD", vec!["MEDIA_TYPE"]));
        assert!(answer.holds[0].text.starts_with("file map.pdf ("), "{}", answer.holds[0].text);
        assert!(answer.holds[0].text.contains("says it is application/pdf, but is image/jpeg"));
        let (file, _) = download(&tablet.service, &liar.report_id, sha256(&photo), (0, 0)).await.unwrap();
        assert_eq!(file.media_type, "application/octet-stream");
        let (file, _) = download(&tablet.service, &honest.report_id, sha256(&photo), (0, 0)).await.unwrap();
        assert_eq!(file.media_type, "image/jpeg");
        // A new version that says what it is, is free.
        let mut mended = edited(&tablet, &liar, 1, "it is a photo");
        mended.attachments = vec![attachment(&photo, "image/jpeg", "map.jpg")];
        assert_eq!(outcome(&tablet.submit(&mended).await.unwrap()), "NEW_VERSION");
        let mended = tablet.get(&liar.report_id, 0).await;
        assert_eq!((mended.state(), mended.holds.len()), (pb::ReportState::Received, 0));
        let wrong = pb::Attachment { size: 4_999, ..attachment(&photo, "image/jpeg", "") };
        let wrong = pb::FieldReport { attachments: vec![wrong], ..tablet.find() };
        let answer = tablet.submit(&wrong).await.unwrap();
        assert_eq!(outcome(&answer), "HELD");
        assert!(answer.holds[0].text.contains("says it has 4999 bytes, but has 5000"));
    })
    .await;
}

#[tokio::test]
async fn a_held_report_gets_one_more_reason_and_the_order_of_uploads_does_not_matter() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let page = b"<html><body>".to_vec();
        let mut report = pb::FieldReport {
            attachments: vec![
                attachment(&page, "image/jpeg", "a.jpg"),
                attachment(&page, "image/png", "b.png"),
            ],
            ..tablet.find()
        };
        report.work_date = Some(crate::bad_input::day(1998, 6, 20));
        let answer = tablet.submit(&report).await.unwrap();
        assert_eq!(reasons(&answer.holds), ["FUTURE_DATE"]);
        upload(&tablet.service, &report.report_id, &page).await.unwrap();
        let held = tablet.get(&report.report_id, 0).await;
        assert_eq!(reasons(&held.holds), ["FUTURE_DATE", "MEDIA_TYPE", "MEDIA_TYPE"], "each file is named");
        assert_eq!(held.state(), pb::ReportState::Held);
    })
    .await;
}

#[tokio::test]
async fn honest_files_of_every_kind_are_served_as_what_they_are() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let honest: [(&str, &[u8]); 8] = [
            ("image/jpeg", b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00"),
            ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
            ("image/webp", b"RIFF\x24\0\0\0WEBPVP8 "),
            ("image/heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
            ("video/mp4", b"\0\0\0\x18ftypisom\0\0\0\0isommp41"),
            ("audio/mpeg", b"ID3\x04\0\0\0\0\0\0"),
            ("application/pdf", b"%PDF-1.7\n"),
            ("text/plain", "Dreißig m² bei Punkt 7, 4 < 5".as_bytes()),
        ];
        for (says, content) in honest {
            let report = stored(&tablet, says, content).await;
            upload(&tablet.service, &report.report_id, content).await.unwrap();
            let (file, _) =
                download(&tablet.service, &report.report_id, sha256(content), (0, 0)).await.unwrap();
            assert_eq!(file.media_type, says);
            assert_eq!(tablet.get(&report.report_id, 0).await.state(), pb::ReportState::Received, "{says}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_is_never_a_path() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 5_000);
        for name in [
            "../../etc/passwd",
            "/etc/passwd",
            "..\\..\\boot.ini",
            "a/b.jpg",
            "a\0b",
            "pit\u{202e}gpj.exe",
            "\u{2066}x",
            "\u{200f}x",
        ] {
            let file = attachment(&photo, "image/jpeg", name);
            let report = pb::FieldReport { attachments: vec![file], ..tablet.find() };
            let refused = tablet.submit(&report).await.unwrap_err();
            assert!(refused.message().contains("attachments[0].name"), "{name}: {}", refused.message());
        }
        // Names that are strange, but no paths, are for people only.
        for name in ["..", "....", "CON", "%2e%2e%2fpasswd", "-rf", "photo.jpg; rm -rf ~", "фото.jpg"] {
            let file = attachment(&photo, "image/jpeg", name);
            let report = pb::FieldReport { attachments: vec![file], ..tablet.find() };
            tablet.submit(&report).await.unwrap();
            upload(&tablet.service, &report.report_id, &photo).await.unwrap();
            let (file, _) =
                download(&tablet.service, &report.report_id, sha256(&photo), (0, 1)).await.unwrap();
            assert_eq!(file.name, name);
        }
        let digits = digits(&photo);
        assert_eq!(settled(world).await, [format!("objects/{}/{digits}", &digits[..2])]);
    })
    .await;
}
