// Who else is at the gateway and who of them is free: read again and again for as long as somebody looks.

import type { Gateway } from './gateway'
import type { Colleague, Directory, PhoneState } from './state'

const REFRESH_MS = 3000

export class DirectoryWatch {
  private readonly state: PhoneState
  private readonly gateway: () => Gateway | null
  private watchers = 0
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(state: PhoneState, gateway: () => Gateway | null) {
    this.state = state
    this.gateway = gateway
  }

  // Until the returned function is called.
  watch(): () => void {
    if (++this.watchers === 1) void this.read()
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      if (--this.watchers === 0) clearTimeout(this.timer)
    }
  }

  private async read(): Promise<void> {
    const gateway = this.gateway()
    if (gateway) this.state.directory = await gateway.colleagues().then(known, () => lost(this.state.directory))
    clearTimeout(this.timer)
    if (this.watchers > 0) this.timer = setTimeout(() => void this.read(), REFRESH_MS)
  }
}

function known(colleagues: Colleague[]): Directory {
  return { state: 'known', colleagues }
}

// Those who were known may still be called; whether they are free nobody knows now.
function lost({ colleagues }: Directory): Directory {
  return { state: 'missing', colleagues: colleagues.map((colleague) => ({ ...colleague, presence: 'offline' })) }
}

// Whom a search text means: part of the name, or of the number. All, in the order of their names, while nothing is typed.
export function search(colleagues: readonly Colleague[], text: string, own: string): Colleague[] {
  const wanted = text.trim().toLocaleLowerCase()
  return colleagues
    .filter(({ number }) => number !== own)
    .filter(({ name, number }) => number.includes(wanted) || name.toLocaleLowerCase().includes(wanted))
    .sort((one, other) => (one.name || one.number).localeCompare(other.name || other.number, undefined, { numeric: true }))
}
