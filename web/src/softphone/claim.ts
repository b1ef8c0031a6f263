// One tab a call: a duplicated tab has a copy of what its original keeps, but the call is the original's for as long as that lives.

// A page that is loaded again may have to wait until the one before it is gone.
const PATIENCE_MS = 3000

// Resolves with a function that gives the call up again, or with null when it is another tab's.
export function claim(callId: string): Promise<(() => void) | null> {
  const { locks } = navigator
  // Pages that were not loaded securely have none; they have no microphone, either.
  if (!locks) return Promise.resolve(() => undefined)
  return new Promise((settle) => {
    locks
      .request(`patchcord ${callId}`, { signal: AbortSignal.timeout(PATIENCE_MS) }, () => new Promise<void>((release) => settle(release)))
      .catch(() => settle(null))
  })
}
