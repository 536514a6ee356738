// Long work as jobs: handed in, looked after, fetched. A job goes on while nobody looks, and is found again by its id.

import { Problem, get, pause, post, remove } from "./service.js";

const [SOON_MS, LATE_MS, LATER_BY] = [300, 2000, 1.3]; // between two looks: longer from one to the next
const UNREACHED_MS = 3000;

// Wait for a job's end, through times when the server cannot be reached; `seen` hears how it stands.
export async function follow(id, how, seen) {
  for (let wait = SOON_MS; ; wait = Math.min(LATE_MS, wait * LATER_BY)) {
    const job = await look(id, how);
    seen(job);
    if (job.status === "done") return;
    if (job.problem) throw new Problem(job.problem);
    if (job.finished) throw new Problem({ detail: `the server ended the work: ${job.status}` });
    await pause(wait, how.signal);
  }
}

async function look(id, how) {
  for (;;) {
    try {
      return await get(`v1/jobs/${id}`, how);
    } catch (error) {
      if (error.kind !== "unreachable") throw error;
      how.say("The server cannot be reached just now. The work goes on by itself as soon as it can be …");
      await pause(UNREACHED_MS, how.signal);
    }
  }
}

// Hand in one job and wait for its answer; `known` is the id of one handed in before, which `begun` hears.
export async function whole(body, how, { known, begun, seen }) {
  const id = known ?? (await post("v1/jobs", body, how)).id;
  begun(id);
  try {
    await follow(id, how, seen);
  } catch (error) {
    if (error.kind !== "unknown-job" || !known) throw error;
    return whole(body, how, { begun, seen });
  }
  const answer = await get(`v1/jobs/${id}/result`, how);
  forget(id, how);
  return answer;
}

export const forget = (id, how) => remove(`v1/jobs/${id}`, how);
