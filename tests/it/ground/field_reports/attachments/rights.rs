//! Who may upload, download and learn what.

use safelane::rpc::pb;
use tonic::{Code, Request, Status};

use super::super::rig::{Tablet, client};
use super::resume::open;
use super::rig::{Service, begin, digits, messages, objects, photo, sha256, submitted, upload, with_photos};
use crate::desk::reason;
use crate::expect::refuses;
use crate::gate::Gate;
use crate::ground::teams::organization;
use crate::harness::in_world;

/// A caller at a server that asks for tokens.
struct Caller<'g> {
    gate: &'g Gate,
    service: Service,
    role: &'g str,
    of: &'g str,
}

impl<'g> Caller<'g> {
    fn new(gate: &'g Gate, role: &'g str, of: &'g str) -> Self {
        Self { gate, service: gate.server.field_reports(), role, of }
    }

    fn sent<T>(&self, message: T) -> Request<T> {
        self.gate.sent(self.role, self.of, message)
    }

    async fn submit(&self, report: &pb::FieldReport) {
        let message = pb::SubmitReportRequest { report: Some(report.clone()), sent: None };
        self.service.clone().submit_report(self.sent(message)).await.expect("it is stored");
    }

    async fn upload(&self, report: &str, content: &[u8], end: usize) -> Result<pb::UploadState, Status> {
        let all = tokio_stream::iter(messages(report, content, 0..end, 30_000));
        Ok(self.service.clone().upload_attachment(self.sent(all)).await?.into_inner().upload.unwrap())
    }

    async fn state(&self, report: &str, content: &[u8]) -> Result<pb::UploadState, Status> {
        let message = pb::GetUploadStateRequest { report_id: report.to_owned(), sha256: sha256(content) };
        Ok(self.service.clone().get_upload_state(self.sent(message)).await?.into_inner().upload.unwrap())
    }

    async fn download(&self, report: &str, content: &[u8]) -> Result<(), Status> {
        let (report_id, sha256) = (report.to_owned(), sha256(content));
        let message = pb::DownloadAttachmentRequest { report_id, sha256, ..Default::default() };
        let mut parts = self.service.clone().download_attachment(self.sent(message)).await?.into_inner();
        while parts.message().await?.is_some() {}
        Ok(())
    }
}

#[tokio::test]
async fn an_operator_learns_nothing_of_what_another_one_has() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let gate = Gate::open(world).await;
        let own = tablet.works.desk.operator_id.clone();
        let stranger = organization(world, pb::OrganizationKind::Operator, "OTHER", "ZW").await;
        let photo = photo(1, 100_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &*report.report_id;
        let (field, other) = (Caller::new(&gate, "field", &own), Caller::new(&gate, "field", &stranger));
        assert!(field.upload(id, &photo, photo.len()).await.unwrap().present);
        field.download(id, &photo).await.unwrap();
        let facts = [("kind", "report"), ("id", id)];
        refuses(other.state(id, &photo).await, Code::NotFound, "NOT_FOUND", &facts);
        refuses(other.upload(id, &photo, 10).await, Code::NotFound, "NOT_FOUND", &facts);
        refuses(other.download(id, &photo).await, Code::NotFound, "NOT_FOUND", &facts);
        // Who knows the hash and declares it, has to send every byte all the same.
        let theirs = with_photos(&tablet, &[&photo]);
        other.submit(&theirs).await;
        let state = other.state(&theirs.report_id, &photo).await.unwrap();
        assert_eq!((state.present, state.durable_offset), (false, 0));
        let state = other.upload(&theirs.report_id, &photo, 0).await.unwrap();
        assert_eq!((state.present, state.durable_offset), (false, 0));
        let missing = other.download(&theirs.report_id, &photo).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
        let before = tablet.get(id, 0).await.revision;
        assert!(other.upload(&theirs.report_id, &photo, photo.len()).await.unwrap().present);
        other.download(&theirs.report_id, &photo).await.unwrap();
        assert_eq!(tablet.get(id, 0).await.revision, before, "their event is in their journal");
        assert_eq!(objects(world).len(), 1, "the object is stored once");
        drop((field, other));
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn whoever_sees_a_report_sees_its_files_and_only_the_operator_uploads() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let gate = Gate::open(world).await;
        let own = tablet.works.desk.operator_id.clone();
        let (office, authority) = (tablet.works.desk.office_id.clone(), tablet.works.authority_id.clone());
        let (photo, undeclared) = (photo(1, 1_000), photo(2, 1_000));
        let report = submitted(&tablet, &[&photo]).await;
        let id = &*report.report_id;
        let own_coordinator = Caller::new(&gate, "coordinator", &own);
        assert!(own_coordinator.upload(id, &photo, photo.len()).await.unwrap().present);
        for (role, of) in
            [("coordinator", &office), ("coordinator", &authority), ("auditor", &own), ("field", &own)]
        {
            let caller = Caller::new(&gate, role, of);
            assert!(caller.state(id, &photo).await.unwrap().present, "{role}");
            caller.download(id, &photo).await.unwrap();
        }
        for (role, of) in [("coordinator", &office), ("auditor", &own), ("funder", &own)] {
            let refused = Caller::new(&gate, role, of).upload(id, &photo, 10).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{role}");
        }
        let digits = digits(&undeclared);
        let facts = [("kind", "attachment"), ("id", &*digits)];
        refuses(own_coordinator.upload(id, &undeclared, 10).await, Code::NotFound, "NOT_FOUND", &facts);
        refuses(own_coordinator.state(id, &undeclared).await, Code::NotFound, "NOT_FOUND", &facts);
        refuses(own_coordinator.download(id, &undeclared).await, Code::NotFound, "NOT_FOUND", &facts);
        drop(own_coordinator);
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_caller_has_so_many_uploads_open_and_not_more() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photos: Vec<Vec<u8>> = (0..17).map(|seed| photo(seed, 1_000)).collect();
        let declared: Vec<&[u8]> = photos.iter().map(Vec::as_slice).collect();
        let report = submitted(&tablet, &declared).await;
        let id = &report.report_id;
        let mut open_ones = Vec::new();
        for photo in &photos[..16] {
            let (sending, answer) = open(&tablet.service);
            sending.send(begin(id, sha256(photo))).await.unwrap();
            sending.send(super::rig::chunk(0, &photo[..10])).await.unwrap();
            super::resume::until(&tablet.service, id, photo, 10).await;
            open_ones.push((sending, answer));
        }
        let service = client(world.channel());
        let refused = upload(&service, id, &photos[16]).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).0.as_str()),
            (Code::ResourceExhausted, "QUOTA_EXCEEDED")
        );
        let (sending, answer) = open_ones.pop().unwrap();
        drop(sending);
        assert_eq!(answer.await.unwrap().unwrap().durable_offset, 10);
        assert!(upload(&service, id, &photos[16]).await.unwrap().present);
        for (sending, answer) in open_ones {
            drop(sending);
            answer.await.unwrap().unwrap();
        }
    })
    .await;
}
