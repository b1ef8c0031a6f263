// Changes inside a call by re-INVITE, one after the other; one that collides with the gateway's own is tried again (RFC 3261 §14.1).

// What a re-INVITE came to: its final status, or `pending` when the session is in the middle of another change.
export type Outcome = number | 'pending'


const PENDING = 491
const MOST_ATTEMPTS = 5

export class Renegotiation {
  private last: Promise<unknown> = Promise.resolve()
  private readonly madeCallId: boolean
  private readonly wait: (ms: number) => Promise<void>

  // Whoever made the Call-ID waits longer, so that the two do not collide again.
  constructor(madeCallId: boolean, wait: (ms: number) => Promise<void> = (ms) => new Promise((done) => setTimeout(done, ms))) {
    this.madeCallId = madeCallId
    this.wait = wait
  }

  // Sends once what was sent before is settled; gives the final status.
  run(send: () => Promise<Outcome>): Promise<number> {
    const result = this.last.then(() => this.attempt(send))
    this.last = result.catch(() => undefined)
    return result
  }

  private async attempt(send: () => Promise<Outcome>): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      const outcome = await send()
      if (outcome !== PENDING && outcome !== 'pending') return outcome
      if (attempt === MOST_ATTEMPTS) return PENDING
      await this.wait(pause(this.madeCallId))
    }
  }
}

// In ms; a multiple of 10.
export function pause(madeCallId: boolean, random: () => number = Math.random): number {
  const [from, to] = madeCallId ? [2100, 4000] : [0, 2000]
  return Math.round((from + (to - from) * random()) / 10) * 10
}
