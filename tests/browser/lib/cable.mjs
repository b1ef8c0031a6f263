// A network cable between a page and the gateway that can be pulled: a TCP relay with an origin of its own.

import { connect, createServer } from 'node:net'

export class Cable {
  static async plug(origin) {
    const cable = new Cable(new URL(origin))
    await cable.listen(0)
    return cable
  }

  constructor(target) {
    this.target = target
    this.connections = new Set()
  }

  get origin() {
    return `https://localhost:${this.port}`
  }

  // Every connection breaks, and none is made until it is plugged in again.
  unplug() {
    this.server.close()
    this.connections.forEach((connection) => connection.destroy())
    this.connections.clear()
  }

  replug() {
    return this.listen(this.port)
  }

  async listen(port) {
    this.server = createServer((near) => {
      const far = connect({ port: Number(this.target.port), host: this.target.hostname, family: 4 })
      for (const [from, to] of [[near, far], [far, near]]) {
        this.connections.add(from)
        from.on('error', () => undefined)
        from.on('close', () => {
          this.connections.delete(from)
          to.destroy()
        })
        from.pipe(to)
      }
    })
    await new Promise((done) => this.server.listen(port, '127.0.0.1', done))
    this.port = this.server.address().port
  }
}
