// Long work as jobs: handed in, looked after, fetched. A job goes on while nobody looks, and is found again by its id.

import { t } from "./language.js";
import { Problem, get, pause, remove } from "./service.js";

const [SOON_MS, LATE_MS, LATER_BY] = [300, 2000, 1.3]; // between two looks: longer from one to the next
const UNREACHED_MS = 3000;

// The job's answer, or how it stands where that is a file, once it is done; waits for it through times when the server
// cannot be reached. `seen` hears how it stands at each look, with the segments that are new after the place `after`.
export async function follow(id, how, { after = 0, seen = () => {} } = {}) {
  for (let wait = SOON_MS; ; wait = Math.min(LATE_MS, wait * LATER_BY)) {
    const job = await look(id, after, how);
    if (!job.partial) return job;
    seen(job);
    if (job.status === "done") return job;
    if (job.problem) throw new Problem(job.problem);
    if (job.finished) throw new Problem({ detail: t("failure.job", { status: job.status }) });
    after = job.next ?? 0;
    await pause(wait, how.signal);
  }
}

async function look(id, after, how) {
  for (;;) {
    try {
      return await soFar(id, after, how);
    } catch (error) {
      if (error.kind !== "unreachable") throw error;
      how.say(t("status.away"));
      await pause(UNREACHED_MS, how.signal);
    }
  }
}

const soFar = (id, after, how) => get(`v1/jobs/${id}/result?partial=true&after=${after}`, how);

// Call a job off, and forget it; returns what there was of it, if it can be had.
export async function callOff(id, after, { key }) {
  const look = () => soFar(id, after, { key, signal: AbortSignal.timeout(5000) }).catch(() => null);
  const before = await look();
  await forget(id, { key });
  if (!before?.partial || before.finished) return before;
  const last = await look();
  await forget(id, { key });
  return last ?? before;
}

// What is in work is called off by this, and forgotten the second time.
export const forget = (id, how) => remove(`v1/jobs/${id}`, how);
