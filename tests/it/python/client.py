"""A client in another language: plays the worked example against a running service.

Arguments: the address, and ids of a program, its period and its allocations as JSON. Prints one line of
JSON with what it saw; fails with a message when a figure is not what it must be.
"""

import hashlib
import json
import sys
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from safelane.v1 import budget_report_service_pb2 as reports_pb2
from safelane.v1 import budget_report_service_pb2_grpc as reports_grpc
from safelane.v1 import date_pb2, entry_pb2, field_report_pb2, money_pb2, site_pb2
from safelane.v1 import field_report_service_pb2 as field_reports_pb2
from safelane.v1 import field_report_service_pb2_grpc as field_reports_grpc
from safelane.v1 import funding_service_pb2 as funding_pb2
from safelane.v1 import funding_service_pb2_grpc as funding_grpc

address, ids = sys.argv[1], json.loads(sys.argv[2])
channel = grpc.insecure_channel(address)
funding = funding_grpc.FundingServiceStub(channel)
reports = reports_grpc.BudgetReportServiceStub(channel)


def usd(minor_units):
    return money_pb2.Money(currency_code="USD", minor_units=minor_units)


def post(**action):
    entry = entry_pb2.Entry(
        entry_id=str(uuid.uuid4()),
        program_id=ids["program"],
        effective_on=date_pb2.Date(year=1998, month=1, day=15),
        **action,
    )
    return funding.PostEntry(funding_pb2.PostEntryRequest(entry=entry), timeout=10)


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: found {found}, wanted {wanted}")


def allocate(name, minor_units):
    return post(allocate=entry_pb2.Allocate(allocation_id=ids[name], amount=usd(minor_units)))


def received():
    request = reports_pb2.GetBudgetReportRequest(program_id=ids["program"])
    rows = reports.GetBudgetReport(request, timeout=10).report.rows
    return {row.allocation_id: row.buckets for row in rows}


post(authorize=entry_pb2.Authorize(period_id=ids["period"], amount=usd(6_800_000_000)))
for country, minor_units in (("A", 2_800_000_000), ("B", 2_200_000_000), ("C", 1_800_000_000)):
    allocate(country, minor_units)
post(
    increase=entry_pb2.Increase(
        period_id=ids["period"],
        percent_ppm=250_000,
        base=entry_pb2.INCREASE_BASE_ORIGINAL,
        push_down=entry_pb2.PUSH_DOWN_PRO_RATA,
    )
)
buckets = received()
for name, minor_units in (
    ("P", 8_500_000_000),
    ("A", 3_500_000_000),
    ("B", 2_750_000_000),
    ("C", 2_250_000_000),
):
    expect(f"{name} received", buckets[ids[name]].received, minor_units)

allocate("A1", 1_200_000_000)
allocate("T1", 40_000_000)

overspend = entry_pb2.Reserve(
    reservation_id=str(uuid.uuid4()), allocation_id=ids["T1"], amount=usd(99_999_999)
)
try:
    post(reserve=overspend)
    sys.exit("the overspend was accepted")
except grpc.RpcError as refused:
    expect("code", refused.code(), grpc.StatusCode.FAILED_PRECONDITION)
    info = error_details_pb2.ErrorInfo()
    found = [detail for detail in rpc_status.from_call(refused).details if detail.Unpack(info)]
    expect("one ErrorInfo", len(found), 1)
    expect("reason", info.reason, "ERROR_REASON_INSUFFICIENT_AVAILABLE")
    expect("domain", info.domain, "safelane.v1")
    expect("available", info.metadata["available"], "40000000")
    expect("requested", info.metadata["requested"], "99999999")

promise = str(uuid.uuid4())
post(
    obligate=entry_pb2.Obligate(
        obligation_id=promise,
        allocation_id=ids["T1"],
        amount=usd(12_000_000),
        payee_name="Clearance operator",
        reference="C-1998-07",
    )
)
post(disburse=entry_pb2.Disburse(obligation_id=promise, amount=usd(4_000_000)))
last = post(
    expend=entry_pb2.Expend(
        source=entry_pb2.EXPEND_SOURCE_ADVANCED,
        obligation_id=promise,
        amount=usd(3_756_015),
        category=entry_pb2.COST_CATEGORY_SERVICES,
        foreign=entry_pb2.ForeignAmount(
            original=money_pb2.Money(currency_code="EUR", minor_units=3_450_000),
            rate="1.0887",
            rate_date=date_pb2.Date(year=1998, month=1, day=14),
            rate_source="European Central Bank",
        ),
    )
)
task = received()[ids["T1"]]
expect("T1 available", task.available, 28_000_000)
expect("T1 obligated", task.obligated, 8_000_000)
expect("T1 advanced", task.advanced, 243_985)
expect("T1 expended", task.expended, 3_756_015)

stream = reports.StreamBudgetReport(
    reports_pb2.StreamBudgetReportRequest(
        program_id=ids["program"],
        delivery=reports_pb2.DELIVERY_ENTRIES,
        after_revision=0,
        until_revision=last.revision,
    ),
    timeout=20,
)
messages = list(stream)
expect("first message", messages[0].WhichOneof("message"), "begin")
expect("last message", messages[-1].WhichOneof("message"), "progress")
expect("every token", all(message.resume_token for message in messages), True)
entries = [message.entry for message in messages if message.WhichOneof("message") == "entry"]
chain = [0] + [entry.revision for entry in entries]
expect("previous revisions", [entry.previous_revision for entry in entries], chain[:-1])
expect("the euros", entries[-1].entry.expend.foreign.original.minor_units, 3_450_000)
# The content hash of a report is that of its message, whoever encodes it.
field_reports = field_reports_grpc.FieldReportServiceStub(channel)
clock = field_report_pb2.DeviceClock(utc_offset_minutes=-90, boot_id="boot-7")
clock.wall_time.FromJsonString("1970-01-01T08:00:00.25Z")
clock.elapsed.FromJsonString("3600.5s")
item = field_report_pb2.OrdnanceItem(
    category=field_report_pb2.ORDNANCE_CATEGORY_OTHER_UXO,
    improvised=True,
    model="Mörser 82 mm",
    quantity=3,
    condition=field_report_pb2.ORDNANCE_CONDITION_DAMAGED,
    disposal=field_report_pb2.ORDNANCE_DISPOSAL_BURNED,
    position=site_pb2.Position(latitude=-19.1, longitude=32.80001, accuracy_m=4),
)
report = field_report_pb2.FieldReport(
    report_id=str(uuid.uuid4()),
    device_id=str(uuid.uuid4()),
    device_sequence=1,
    team_id=ids["team"],
    work_date=date_pb2.Date(year=1998, month=6, day=14),
    captured=clock,
    position=site_pb2.Position(latitude=0, longitude=32.8),
    attachments=[
        field_report_pb2.Attachment(
            sha256=hashlib.sha256(b"a photo").digest(), size=7, media_type="image/jpeg", name="Fund 1.jpg"
        )
    ],
    note="am Brunnen, links",
    spot_task=field_report_pb2.SpotTaskReport(place="the well", items=[item, item]),
)
for outcome in ("STORED", "ALREADY_STORED"):
    answer = field_reports.SubmitReport(
        field_reports_pb2.SubmitReportRequest(report=report, sent=clock), timeout=10
    )
    expect("outcome", field_reports_pb2.ReportOutcome.Name(answer.outcome), f"REPORT_OUTCOME_{outcome}")
    content = hashlib.sha256(report.SerializeToString(deterministic=True)).digest()
    expect("content hash", answer.receipt.content_sha256, content)
    expect("durable through", answer.sync_state.durable_through, 1)
outbox = [field_reports_pb2.SyncReportsRequest(report=report)]
answers = list(field_reports.SyncReports(iter(outbox), timeout=10))
expect("answers of the stream", [answer.WhichOneof("outcome") for answer in answers], ["stored"])

print(json.dumps({"revision": last.revision, "entries": len(entries)}))
