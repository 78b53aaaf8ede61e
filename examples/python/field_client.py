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
from google.rpc import code_pb2, error_details_pb2
from grpc_status import rpc_status
from safelane.v1 import attachment_pb2, date_pb2, field_report_pb2, field_report_service_pb2
from safelane.v1 import field_report_service_pb2_grpc, stored_report_pb2

CHUNK = 64 * 1024  # the most bytes of one chunk
BOOT = str(uuid.uuid4())  # times elapsed are compared within one boot; here that is one process
DOMAIN = "safelane.v1"  # of the service's own refusals
DENIED = (code_pb2.UNAUTHENTICATED, code_pb2.PERMISSION_DENIED)
FINAL = (code_pb2.INVALID_ARGUMENT, code_pb2.ALREADY_EXISTS, code_pb2.FAILED_PRECONDITION, code_pb2.NOT_FOUND)


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
        """Sends one report until the server names it; says also whether it is whole there. Sending again is always safe."""
        request = field_report_service_pb2.SubmitReportRequest(report=report, sent=self.clock())
        answer = again(lambda: self.service.SubmitReport(request, timeout=20))
        return answer, named(report, answer)

    def sync(self, reports):
        """Sends several over one stream. Each is stored or refused alone; what got no answer, or was put off, is sent again.

        What the server keeps in part stays in the outbox: when the server has been brought up to
        date, send it as a new version: with base_version one higher and a number of its own.
        """
        waiting = {report.report_id: report for report in reports}
        stored, partly, refused = {}, {}, {}

        def once():
            outbox = [
                field_report_service_pb2.SyncReportsRequest(report=report, sent=self.clock())
                for report in waiting.values()
            ]
            put_off = None
            for answer in self.service.SyncReports(iter(outbox), timeout=60):
                report = waiting.get(answer.report_id)
                if report is None:
                    continue  # answered before: whoever sits between may deliver twice
                if answer.WhichOneof("outcome") == "stored":
                    kept = stored if named(report, answer.stored) else partly
                    kept[answer.report_id] = answer.stored
                elif is_final(answer.refused):
                    refused[answer.report_id] = answer.refused.message
                else:
                    put_off = answer.refused
                    continue
                del waiting[answer.report_id]
            if waiting:
                raise PutOff(put_off)

        again(once)
        return stored, partly, refused

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


def named(report, answer):
    """Whether an answer names the report and the hash of its content: nothing else is a success.

    With another hash of the very version the server is older than the app, and dropped fields that it does not know.
    """
    receipt = answer.receipt
    if receipt.report_id != report.report_id or receipt.version != report.base_version + 1:
        raise ValueError("an answer that does not name what was sent: it is not of the service")
    warn(report, answer)
    return receipt.content_sha256 == hashlib.sha256(report.SerializeToString(deterministic=True)).digest()


def warn(report, answer):
    """Says at once what people must know: that no work stands still, and that details of victims have to stay here."""
    body = report.WhichOneof("body")
    asks = body in ("accident", "inspection") and getattr(report, body).halt_work
    if answer.HasField("halt") and not answer.halt.safety_stop_id:
        print(f"WARNING: {answer.halt.text}", file=sys.stderr)
    elif asks and not answer.HasField("halt"):
        print("WARNING: it is not known whether the work stands still; call your coordinator", file=sys.stderr)
    if answer.HasField("details_not_kept"):
        print(f"keep the report and send it again: {answer.details_not_kept.text}", file=sys.stderr)


class PutOff(Exception):
    """Some reports were not taken now. `status` is the last refusal; none when an answer is missing."""

    def __init__(self, status):
        super().__init__(status.message if status else "not every report was answered")
        self.status = status


def again(call, wait=0.5):
    """Calls until the link holds, and waits as long as the server asks. Only the service itself refuses for good."""
    while True:
        try:
            return call()
        except (grpc.RpcError, PutOff) as error:
            status = error.status if isinstance(error, PutOff) else rpc_status.from_call(error)
            if status and (is_final(status) or is_denied(status)):
                raise
            print(f"trying again: {error}", file=sys.stderr)
            time.sleep(max(wait, asked_delay(status)))
            wait = min(wait * 2, 60)


def detail(status, message):
    """The first detail of a refusal that is such a message; an empty one when there is none."""
    for packed in status.details if status else []:
        if packed.Unpack(message):
            break
    return message


def is_final(status):
    """Whether a report will never be taken as it is. Anything else, such as a login page or a full server, passes."""
    info = detail(status, error_details_pb2.ErrorInfo())
    reason = info.reason.removeprefix("ERROR_REASON_")
    if info.domain != DOMAIN or reason == "PERSONAL_KEY_MISSING":
        return False
    if status.code == code_pb2.ABORTED:
        return reason == "STALE_REVISION"
    if status.code == code_pb2.RESOURCE_EXHAUSTED:
        return info.metadata["what"] == "bytes of a report"
    return status.code in FINAL


def is_denied(status):
    """Whether the service does not know the caller: then it takes nothing, and nothing is lost."""
    return status.code in DENIED and detail(status, error_details_pb2.ErrorInfo()).domain == DOMAIN


def asked_delay(status):
    """Seconds that the server asks to wait."""
    return detail(status, error_details_pb2.RetryInfo()).retry_delay.ToTimedelta().total_seconds()


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
    submitted, is_whole = client.submit(with_photo)
    outbox = [client.draft(today, ordnance=found, note=f"number {number}") for number in range(5)]
    lost = outbox.pop(2)
    stored, partly, refused = client.sync(outbox)
    through, gaps = client.gaps()
    client.sync([lost])
    half = client.upload(with_photo.report_id, photo, cut_after=len(photo) // 2)
    whole = client.upload(with_photo.report_id, photo)
    print(
        json.dumps(
            {
                "report_id": with_photo.report_id,
                "device_id": client.device_id,
                "reference": submitted.receipt.reference,
                "stored": len(stored),
                "partly": len(partly) + (not is_whole),
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
