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
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import type { ProtoGrpcType } from './generated/field_report_service';
import type { Date__Output as Day } from './generated/safelane/v1/Date';
import type { DeviceClock } from './generated/safelane/v1/DeviceClock';
import type { FieldReport } from './generated/safelane/v1/FieldReport';
import type { FieldReportServiceClient } from './generated/safelane/v1/FieldReportService';
import type { SubmitReportResponse__Output as Answer } from './generated/safelane/v1/SubmitReportResponse';
import type { UploadState__Output as UploadState } from './generated/safelane/v1/UploadState';

const CHUNK = 64 * 1024; // the most bytes of one chunk
const BOOT = randomUUID(); // times elapsed are compared within one boot; here that is one process
const RETRY = [grpc.status.UNAVAILABLE, grpc.status.DEADLINE_EXCEEDED, grpc.status.UNKNOWN];

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

  /** Takes nothing for a success but an answer that names the report and the hash of its content. */
  private acknowledged(report: FieldReport, answer: Answer): Answer {
    const hash = createHash('sha256').update(this.encode(report)).digest();
    if (answer.receipt?.reportId !== report.reportId || !hash.equals(answer.receipt?.contentSha256 ?? Buffer.of())) {
      throw new Error('an answer that does not name what was sent: it is not of the service');
    }
    return answer;
  }

  /** Sends one report until the server names it. Sending again is always safe. */
  async submit(report: FieldReport): Promise<Answer> {
    const request = { report, sent: this.clock() };
    return this.acknowledged(report, await call<Answer>((reply) => this.service.submitReport(request, within(20), reply)));
  }

  /** Sends several over one stream. Each is stored or refused alone; what got no answer is sent again. */
  async sync(reports: FieldReport[]): Promise<{ stored: Answer[]; refused: string[] }> {
    const waiting = new Map(reports.map((report) => [report.reportId, report]));
    const [stored, refused]: [Answer[], string[]] = [[], []];
    await again(async () => {
      const stream = this.service.syncReports(within(60));
      for (const report of waiting.values()) stream.write({ report, sent: this.clock() });
      stream.end();
      for await (const answer of stream) {
        const report = waiting.get(answer.reportId);
        if (report === undefined) continue;
        if (answer.stored) stored.push(this.acknowledged(report, answer.stored));
        else refused.push(answer.refused?.message ?? '');
        waiting.delete(answer.reportId);
      }
    });
    return { stored, refused };
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

/** Tries until the link holds. Any other refusal is final. */
async function again<T>(attempt: () => Promise<T>, wait = 500): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    const code = (error as grpc.ServiceError).code;
    if (!RETRY.includes(code)) throw error;
    // The server says how long to wait; a device that was cut with others comes back a little apart from them.
    const asked = Number((error as grpc.ServiceError).metadata?.get('grpc-retry-pushback-ms')[0] ?? 0);
    await sleep(Math.max(asked, wait * (0.5 + Math.random() / 2)));
    return again(attempt, Math.min(wait * 2, 60_000));
  }
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
  const { receipt } = await client.submit(withPhoto);
  const outbox = [0, 1, 2, 3, 4].map((number) => client.draft(today, { ordnance, note: `number ${number}` }));
  const lost = outbox.splice(2, 1);
  const { stored, refused } = await client.sync(outbox);
  const { durableThrough, gaps } = await client.gaps();
  await client.sync(lost);
  const half = await client.upload(withPhoto.reportId!, photo, photo.length / 2);
  const whole = await client.upload(withPhoto.reportId!, photo);
  console.log(JSON.stringify({
    report_id: withPhoto.reportId, device_id: client.deviceId, reference: receipt?.reference,
    stored: stored.length, refused: refused.length, durable_through: durableThrough, gaps,
    half: half.durableOffset, present: whole.present, remarks: await client.remarks(ids.returned ?? withPhoto.reportId!),
  }));
  client.close();
}

const [proto, address, ids] = process.argv.slice(2);
main(proto!, address!, JSON.parse(ids!)).catch((error) => {
  console.error(String(error));
  process.exitCode = 1;
});
