"""A field client for app builders: submit a report, sync an outbox, upload a photo, show what came back.

    python field_client.py ADDRESS '{"team_id": "...", "task_id": "...", "site_id": "...", "photo": "lane.jpg"}'

Prints one line of JSON. The modules are generated from proto/ by grpcio-tools; `make test` shows how. An app keeps
each report, its number and the device id on the disk before it sends anything; see `safelane field` for all of it.
"""

import hashlib
import json
import sys
import time
import uuid
from datetime import datetime, timezone

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from safelane.v1 import attachment_pb2, date_pb2, field_report_pb2, field_report_service_pb2
from safelane.v1 import field_report_service_pb2_grpc, stored_report_pb2

CHUNK = 64 * 1024  # the most bytes of one chunk
BOOT = str(uuid.uuid4())  # times elapsed are compared within one boot; here that is one process
RETRY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNKNOWN)


class FieldClient:
    """One device. `number` counts what it sends, from 1 without gaps: that is how lost reports are seen."""

    def __init__(self, address, team_id, task_id):
        self.service = field_report_service_pb2_grpc.FieldReportServiceStub(grpc.insecure_channel(address))
        self.device_id, self.team_id, self.task_id = str(uuid.uuid4()), team_id, task_id
        self.number = 0

    def clock(self):
        """What the device believes about time. The server orders nothing by it."""
        clock = field_report_pb2.DeviceClock()
        clock.wall_time.FromDatetime(datetime.now(timezone.utc))
        clock.elapsed.FromNanoseconds(time.monotonic_ns())
        clock.boot_id = BOOT
        return clock

    def draft(self, work_date, **body):
        """A report with ids and a number of its own. Keep it before you send it."""
        self.number += 1
        return field_report_pb2.FieldReport(
            report_id=str(uuid.uuid4()),
            device_id=self.device_id,
            device_sequence=self.number,
            team_id=self.team_id,
            task_id=self.task_id,
            work_date=date_pb2.Date(**work_date),
            captured=self.clock(),
            **body,
        )

    def submit(self, report):
        """Sends one report until the server names it. Sending again is always safe."""
        request = field_report_service_pb2.SubmitReportRequest(report=report, sent=self.clock())
        return acknowledged(report, again(lambda: self.service.SubmitReport(request, timeout=20)))

    def sync(self, reports):
        """Sends several over one stream. Each is stored or refused alone; what got no answer is sent again."""
        waiting = {report.report_id: report for report in reports}
        stored, refused = {}, {}

        def once():
            outbox = [
                field_report_service_pb2.SyncReportsRequest(report=report, sent=self.clock())
                for report in waiting.values()
            ]
            for answer in self.service.SyncReports(iter(outbox), timeout=60):
                report = waiting[answer.report_id]
                if answer.WhichOneof("outcome") == "stored":
                    stored[answer.report_id] = acknowledged(report, answer.stored)
                else:
                    refused[answer.report_id] = answer.refused.message
                del waiting[answer.report_id]

        again(once)
        return stored, refused

    def upload(self, report_id, content, cut_after=None):
        """Uploads a file from the byte that the server has. `cut_after` lets go in the middle, as links do."""
        sha256 = hashlib.sha256(content).digest()
        which = {"report_id": report_id, "sha256": sha256}
        state = again(
            lambda: self.service.GetUploadState(attachment_pb2.GetUploadStateRequest(**which), timeout=20)
        ).upload
        while not state.present:
            # So many bytes are durable when the server answers, and a cut costs no more than those.
            part = content[state.durable_offset : state.durable_offset + CHUNK]
            chunk = attachment_pb2.UploadChunk(write_offset=state.durable_offset, content=part)
            messages = [
                attachment_pb2.UploadAttachmentRequest(begin=attachment_pb2.UploadBegin(**which)),
                attachment_pb2.UploadAttachmentRequest(chunk=chunk),
            ]
            state = again(lambda: self.service.UploadAttachment(iter(messages), timeout=60)).upload
            if cut_after is not None and cut_after <= state.durable_offset:
                break
        return state

    def gaps(self):
        """Numbers that the server misses: reports that are lost, or on their way."""
        request = field_report_service_pb2.GetSyncStateRequest(device_id=self.device_id)
        state = again(lambda: self.service.GetSyncState(request, timeout=20)).sync_state
        return state.durable_through, [[gap.first, gap.last] for gap in state.missing]

    def remarks(self, report_id):
        """What a reviewer wants changed, by field, when the report was returned. Amend it with its version as base."""
        request = field_report_service_pb2.GetReportRequest(report_id=report_id)
        stored = again(lambda: self.service.GetReport(request, timeout=20)).report
        if stored.state != stored_report_pb2.REPORT_STATE_RETURNED:
            return stored.version, []
        return stored.version, [[remark.field, remark.text] for remark in stored.remarks]


def acknowledged(report, answer):
    """Takes nothing for a success but an answer that names the report and the hash of its content."""
    sha256 = hashlib.sha256(report.SerializeToString(deterministic=True)).digest()
    if answer.receipt.report_id != report.report_id or answer.receipt.content_sha256 != sha256:
        raise ValueError("an answer that does not name what was sent: it is not of the service")
    return answer


def again(call, wait=0.5):
    """Calls until the link holds, and waits as long as the server asks. Any other refusal is final."""
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() not in RETRY:
                raise
            print(f"trying again: {error.code().name} {error.details()}", file=sys.stderr)
            time.sleep(max(wait, asked_delay(error)))
            wait = min(wait * 2, 60)


def asked_delay(error):
    """Seconds that the server asks to wait."""
    status, info = rpc_status.from_call(error), error_details_pb2.RetryInfo()
    for detail in status.details if status else []:
        if detail.Unpack(info):
            return info.retry_delay.ToTimedelta().total_seconds()
    return 0


def main():
    address, ids = sys.argv[1], json.loads(sys.argv[2])
    client = FieldClient(address, ids["team_id"], ids["task_id"])
    today = {"year": 1998, "month": 6, "day": 15}
    item = {"category": "ORDNANCE_CATEGORY_AP_MINE", "model": "PMN-2", "quantity": 1}
    item |= {"condition": "ORDNANCE_CONDITION_ARMED", "disposal": "ORDNANCE_DISPOSAL_DEMOLISHED_IN_PLACE"}
    found = field_report_pb2.OrdnanceReport(site_id=ids["site_id"], items=[field_report_pb2.OrdnanceItem(**item)])
    with open(ids["photo"], "rb") as file:
        photo = file.read()
    sha256 = hashlib.sha256(photo).digest()
    declared = field_report_pb2.Attachment(
        sha256=sha256, size=len(photo), media_type="image/jpeg", name="lane.jpg"
    )

    with_photo = client.draft(today, ordnance=found, attachments=[declared], note="with a photo")
    receipt = client.submit(with_photo).receipt
    outbox = [client.draft(today, ordnance=found, note=f"number {number}") for number in range(5)]
    lost = outbox.pop(2)
    stored, refused = client.sync(outbox)
    through, gaps = client.gaps()
    client.sync([lost])
    half = client.upload(with_photo.report_id, photo, cut_after=len(photo) // 2)
    whole = client.upload(with_photo.report_id, photo)
    print(
        json.dumps(
            {
                "report_id": with_photo.report_id,
                "device_id": client.device_id,
                "reference": receipt.reference,
                "stored": len(stored),
                "refused": len(refused),
                "durable_through": through,
                "gaps": gaps,
                "half": half.durable_offset,
                "present": whole.present,
                "remarks": client.remarks(ids.get("returned") or with_photo.report_id)[1],
            }
        )
    )


if __name__ == "__main__":
    main()
