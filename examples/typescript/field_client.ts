// A field client for app builders: submit a report, sync an outbox, upload a photo, show what came back.
//
//   npm ci && npm run types && npm run build
//   node built/field_client.js ../../proto ADDRESS '{"teamId": "...", "taskId": "...", "siteId": "...", "photo": "lane.jpg"}'
//
// Prints one line of JSON. An app keeps each report, its number and the device id on the disk before it sends anything;
// see `safelane field` for all of it.

import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { fromJSON, loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import type { ProtoGrpcType } from './generated/field_report_service';
import type { Status__Output as Status } from './generated/google/rpc/Status';
import type { Date__Output as Day } from './generated/safelane/v1/Date';
import type { DeviceClock } from './generated/safelane/v1/DeviceClock';
import type { FieldReport } from './generated/safelane/v1/FieldReport';
import type { FieldReportServiceClient } from './generated/safelane/v1/FieldReportService';
import type { SubmitReportResponse__Output as Answer } from './generated/safelane/v1/SubmitReportResponse';
import type { UploadState__Output as UploadState } from './generated/safelane/v1/UploadState';

const CHUNK = 64 * 1024; // the most bytes of one chunk
const BOOT = randomUUID(); // times elapsed are compared within one boot; here that is one process
const DOMAIN = 'safelane.v1'; // of the service's own refusals
const DENIED = [grpc.status.UNAUTHENTICATED, grpc.status.PERMISSION_DENIED];
const FINAL = [
  grpc.status.INVALID_ARGUMENT, grpc.status.ALREADY_EXISTS, grpc.status.FAILED_PRECONDITION, grpc.status.NOT_FOUND,
];
const FACTS = { keyType: 'string', type: 'string', id: 3 };
// What is in the details of a refusal. No method of the service names these messages.
const DETAILS = fromJSON({
  nested: {
    Status: {
      fields: {
        code: { type: 'int32', id: 1 }, message: { type: 'string', id: 2 },
        details: { rule: 'repeated', type: 'Packed', id: 3 },
      },
    },
    Packed: { fields: { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
    ErrorInfo: {
      fields: {
        reason: { type: 'string', id: 1 }, domain: { type: 'string', id: 2 },
        metadata: FACTS,
      },
    },
    RetryInfo: { fields: { delay: { type: 'Delay', id: 1 } } },
    Delay: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
  },
}, { longs: Number, defaults: true, keepCase: true });

interface ErrorInfo { reason: string; domain: string; metadata: Record<string, string> }
interface RetryInfo { delay: { seconds: number; nanos: number } | null }

type Reply<T> = (error: grpc.ServiceError | null, answer?: T) => void;

/** One device. `number` counts what it sends, from 1 without gaps: that is how lost reports are seen. */
class FieldClient {
  readonly deviceId = randomUUID();
  private readonly service: FieldReportServiceClient;
  private readonly encode: (report: FieldReport) => Buffer;
  private number = 0;

  constructor(proto: string, address: string, private readonly teamId: string, private readonly taskId: string) {
    const files = 'safelane/v1/field_report_service.proto';
    const loaded = loadSync(files, { includeDirs: [proto], longs: Number, enums: String, defaults: true, oneofs: true });
    const types = grpc.loadPackageDefinition(loaded) as unknown as ProtoGrpcType;
    this.service = new types.safelane.v1.FieldReportService(address, grpc.credentials.createInsecure());
    this.encode = (loaded['safelane.v1.FieldReport'] as MessageTypeDefinition<FieldReport, FieldReport>).serialize;
  }

  /** What the device believes about time. The server orders nothing by it. */
  clock(): DeviceClock {
    const [now, on] = [Date.now(), performance.now()];
    return {
      wallTime: { seconds: some(now / 1000), nanos: some((now % 1000) * 1_000_000) },
      elapsed: { seconds: some(on / 1000), nanos: some((on % 1000) * 1_000_000) },
      bootId: BOOT,
    };
  }

  /** A report with ids and a number of its own. Keep it before you send it. Leave out what is empty or 0. */
  draft(workDate: Day, body: Partial<FieldReport>): FieldReport {
    this.number += 1;
    return {
      reportId: randomUUID(), deviceId: this.deviceId, deviceSequence: this.number, teamId: this.teamId,
      taskId: this.taskId, workDate, captured: this.clock(), ...body,
    };
  }

  /**
   * Whether an answer names the report and the hash of its content: nothing else is a success. With another hash of the
   * very version the server is older than the app, and dropped fields that it does not know.
   */
  private named(report: FieldReport, answer: Answer): boolean {
    const { receipt } = answer;
    if (receipt?.reportId !== report.reportId || receipt?.version !== (report.baseVersion ?? 0) + 1) {
      throw new Error('an answer that does not name what was sent: it is not of the service');
    }
    warn(report, answer);
    return createHash('sha256').update(this.encode(report)).digest().equals(receipt.contentSha256);
  }

  /** Sends one report until the server names it; says also whether it is whole there. Sending again is always safe. */
  async submit(report: FieldReport): Promise<{ answer: Answer; isWhole: boolean }> {
    const request = { report, sent: this.clock() };
    const answer = await call<Answer>((reply) => this.service.submitReport(request, within(20), reply));
    return { answer, isWhole: this.named(report, answer) };
  }

  /**
   * Sends several over one stream. Each is stored or refused alone; what got no answer, or was put off, is sent again.
   * What the server keeps in part stays in the outbox: when the server has been brought up to
   * date, send it as a new version: with baseVersion one higher and a number of its own.
   */
  async sync(reports: FieldReport[]): Promise<{ stored: Answer[]; partly: Answer[]; refused: string[] }> {
    const waiting = new Map(reports.map((report) => [report.reportId, report]));
    const [stored, partly, refused]: [Answer[], Answer[], string[]] = [[], [], []];
    await again(async () => {
      const stream = this.service.syncReports(within(60));
      for (const report of waiting.values()) stream.write({ report, sent: this.clock() });
      stream.end();
      let putOff: Status | undefined;
      for await (const answer of stream) {
        const report = waiting.get(answer.reportId);
        // Answered before: whoever sits between may deliver twice.
        if (report === undefined) continue;
        if (answer.stored) {
          (this.named(report, answer.stored) ? stored : partly).push(answer.stored);
        } else if (answer.refused && isFinal(answer.refused)) {
          refused.push(answer.refused.message);
        } else {
          putOff = answer.refused ?? undefined;
          continue;
        }
        waiting.delete(answer.reportId);
      }
      if (waiting.size > 0) throw new PutOff(putOff);
    });
    return { stored, partly, refused };
  }

  /** Uploads a file from the byte that the server has. `cutAfter` lets go in the middle, as links do. */
  async upload(reportId: string, content: Buffer, cutAfter?: number): Promise<UploadState> {
    const which = { reportId, sha256: createHash('sha256').update(content).digest() };
    type Told = { upload: UploadState | null };
    let state = (await call<Told>((reply) => this.service.getUploadState(which, within(20), reply))).upload!;
    while (!state.present && !(cutAfter !== undefined && cutAfter <= state.durableOffset)) {
      // So many bytes are durable when the server answers, and a cut costs no more than those.
      const writeOffset = state.durableOffset;
      const told = await call<Told>((reply) => {
        const stream = this.service.uploadAttachment(within(60), reply);
        stream.write({ begin: which });
        stream.write({ chunk: { writeOffset, content: content.subarray(writeOffset, writeOffset + CHUNK) } });
        stream.end();
      });
      state = told.upload!;
    }
    return state;
  }

  /** Numbers that the server misses: reports that are lost, or on their way. */
  async gaps(): Promise<{ durableThrough: number; gaps: number[][] }> {
    type Told = { syncState: { durableThrough: number; missing: { first: number; last: number }[] } | null };
    const request = { deviceId: this.deviceId };
    const state = (await call<Told>((reply) => this.service.getSyncState(request, within(20), reply))).syncState!;
    return { durableThrough: state.durableThrough, gaps: state.missing.map((gap) => [gap.first, gap.last]) };
  }

  /** What a reviewer wants changed, by field, when the report was returned. Amend it with its version as base. */
  async remarks(reportId: string): Promise<string[][]> {
    type Told = { report: { state: string; remarks: { field: string; text: string }[] } | null };
    const stored = (await call<Told>((reply) => this.service.getReport({ reportId }, within(20), reply))).report!;
    if (stored.state !== 'REPORT_STATE_RETURNED') return [];
    return stored.remarks.map((remark) => [remark.field, remark.text]);
  }

  close(): void {
    this.service.close();
  }
}

/** Says at once what people must know: that no work stands still, and that details of victims have to stay here. */
function warn(report: FieldReport, answer: Answer): void {
  const asks = report.accident?.haltWork || report.inspection?.haltWork;
  if (answer.halt && !answer.halt.safetyStopId) {
    console.error(`WARNING: ${answer.halt.text}`);
  } else if (asks && !answer.halt) {
    console.error('WARNING: it is not known whether the work stands still; call your coordinator');
  }
  if (answer.detailsNotKept) console.error(`keep the report and send it again: ${answer.detailsNotKept.text}`);
}

/** A whole number, or nothing instead of 0: this encoder writes a 0 that it is given, and the content hash has none. */
function some(value: number): number | undefined {
  return Math.floor(value) || undefined;
}

function within(seconds: number): grpc.CallOptions {
  return { deadline: Date.now() + seconds * 1000 };
}

/** One call, again until the link holds. */
function call<T>(start: (reply: Reply<T>) => unknown): Promise<T> {
  const once = () => new Promise<T>((done, failed) => start((error, answer) => (error ? failed(error) : done(answer!))));
  return again(once);
}

/** Some reports were not taken now. `status` is the last refusal; none when an answer is missing. */
class PutOff extends Error {
  constructor(readonly status?: Status) {
    super(status?.message ?? 'not every report was answered');
  }
}

/** Tries until the link holds, and waits as long as the server asks. Only the service itself refuses for good. */
async function again<T>(attempt: () => Promise<T>, wait = 500): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof PutOff) && typeof (error as grpc.ServiceError).code !== 'number') throw error;
    const status = error instanceof PutOff ? error.status : statusOf(error as grpc.ServiceError);
    if (status !== undefined && (isFinal(status) || isDenied(status))) throw error;
    console.error(`trying again: ${String(error)}`);
    // A device that was cut with others comes back a little apart from them.
    await sleep(Math.max(askedDelay(status), wait * (0.5 + Math.random() / 2)));
    return again(attempt, Math.min(wait * 2, 60_000));
  }
}

/** The refusal with its details, if somebody who speaks gRPC sent them. */
function statusOf(error: grpc.ServiceError): Status | undefined {
  const packed = error.metadata?.get('grpc-status-details-bin')[0];
  if (!(packed instanceof Buffer)) return undefined;
  return (DETAILS['Status'] as MessageTypeDefinition<Status, Status>).deserialize(packed) as Status;
}

/** The detail of a refusal that is such a message. */
function detail<T extends object>(status: Status | undefined, name: string): T | undefined {
  const packed = status?.details.find((packed) => packed.type_url.endsWith(`/google.rpc.${name}`));
  const type = DETAILS[name] as unknown as MessageTypeDefinition<T, T>;
  return packed && (type.deserialize(packed.value) as T);
}

/** Whether a report will never be taken as it is. Anything else, such as a login page or a full server, passes. */
function isFinal(status: Status): boolean {
  const info = detail<ErrorInfo>(status, 'ErrorInfo');
  const reason = info?.reason.replace('ERROR_REASON_', '');
  if (info?.domain !== DOMAIN || reason === 'PERSONAL_KEY_MISSING') return false;
  if (status.code === grpc.status.ABORTED) return reason === 'STALE_REVISION';
  if (status.code === grpc.status.RESOURCE_EXHAUSTED) return info.metadata['what'] === 'bytes of a report';
  return FINAL.includes(status.code);
}

/** Whether the service does not know the caller: then it takes nothing, and nothing is lost. */
function isDenied(status: Status): boolean {
  return DENIED.includes(status.code) && detail<ErrorInfo>(status, 'ErrorInfo')?.domain === DOMAIN;
}

/** Milliseconds that the server asks to wait. */
function askedDelay(status: Status | undefined): number {
  const delay = detail<RetryInfo>(status, 'RetryInfo')?.delay;
  return delay ? delay.seconds * 1000 + delay.nanos / 1_000_000 : 0;
}

async function main(proto: string, address: string, ids: Record<string, string>): Promise<void> {
  const client = new FieldClient(proto, address, ids.teamId!, ids.taskId!);
  const today = { year: 1998, month: 6, day: 15 };
  const ordnance: FieldReport['ordnance'] = {
    siteId: ids.siteId!,
    items: [{
      category: 'ORDNANCE_CATEGORY_AP_MINE', model: 'PMN-2', quantity: 1,
      condition: 'ORDNANCE_CONDITION_ARMED', disposal: 'ORDNANCE_DISPOSAL_DEMOLISHED_IN_PLACE',
    }],
  };
  const photo = readFileSync(ids.photo!);
  const sha256 = createHash('sha256').update(photo).digest();
  const attachments = [{ sha256, size: photo.length, mediaType: 'image/jpeg', name: 'lane.jpg' }];

  const withPhoto = client.draft(today, { ordnance, attachments, note: 'with a photo' });
  const submitted = await client.submit(withPhoto);
  const outbox = [0, 1, 2, 3, 4].map((number) => client.draft(today, { ordnance, note: `number ${number}` }));
  const lost = outbox.splice(2, 1);
  const { stored, partly, refused } = await client.sync(outbox);
  const { durableThrough, gaps } = await client.gaps();
  await client.sync(lost);
  const half = await client.upload(withPhoto.reportId!, photo, photo.length / 2);
  const whole = await client.upload(withPhoto.reportId!, photo);
  console.log(JSON.stringify({
    report_id: withPhoto.reportId, device_id: client.deviceId, reference: submitted.answer.receipt?.reference,
    stored: stored.length, partly: partly.length + (submitted.isWhole ? 0 : 1), refused: refused.length,
    durable_through: durableThrough, gaps,
    half: half.durableOffset, present: whole.present, remarks: await client.remarks(ids.returned ?? withPhoto.reportId!),
  }));
  client.close();
}

const [proto, address, ids] = process.argv.slice(2);
main(proto!, address!, JSON.parse(ids!)).catch((error) => {
  console.error(String(error));
  process.exitCode = 1;
});
