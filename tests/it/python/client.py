"""A client in another language: plays the worked example against a running service.

Arguments: the address, and ids of a program, its period and its allocations as JSON. Prints one line of
JSON with what it saw; fails with a message when a figure is not what it must be.
"""

import json
import sys
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from safelane.v1 import budget_report_service_pb2 as reports_pb2
from safelane.v1 import budget_report_service_pb2_grpc as reports_grpc
from safelane.v1 import date_pb2, entry_pb2, money_pb2
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
print(json.dumps({"revision": last.revision, "entries": len(entries)}))
