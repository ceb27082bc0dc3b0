// The stock client of tus, whose connections are cut by the proxy that it goes through.
import { readFileSync } from "node:fs";
import * as tus from "tus-js-client";

const [, , endpoint, path, filename, room_name, peer_id, chunk] = process.argv;
const offsets = [];
let requests = 0;

const upload = new tus.Upload(readFileSync(path), {
  endpoint,
  chunkSize: Number(chunk) || Infinity,
  retryDelays: Array(60).fill(50),
  metadata: { filename, room_name, peer_id },
  removeFingerprintOnSuccess: true,
  onBeforeRequest: () => {
    requests += 1;
  },
  onAfterResponse: (_request, response) => {
    const offset = response.getHeader("Upload-Offset");
    if (offset !== undefined && offset !== null) offsets.push(Number(offset));
  },
  onError: (error) => {
    const body = error.originalResponse?.getBody();
    console.log(JSON.stringify({ error: body ? JSON.parse(body).code : String(error), requests }));
  },
  onSuccess: async () => {
    const answer = await fetch(upload.url);
    console.log(JSON.stringify({ requests, offsets, file: await answer.json() }));
  },
});
upload.start();
