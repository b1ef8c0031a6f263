// A network for media that can go away and be another afterwards: a UDP relay before the gateway's media port.

import { createSocket } from 'node:dgram'

export class Detour {
  static async to(port) {
    const detour = new Detour(port)
    await detour.move()
    return detour
  }

  constructor(target) {
    this.target = target
    this.sockets = []
  }

  // Another network: a new port for the browser, and another address as the gateway sees it. What goes over the last one is lost.
  async move() {
    this.cut()
    const [near, far] = await Promise.all([open(), open()])
    let browser
    near.on('message', (packet, from) => {
      browser = from.port
      far.send(packet, this.target, '127.0.0.1')
    })
    far.on('message', (packet) => {
      if (browser) near.send(packet, browser, '127.0.0.1')
    })
    this.sockets = [near, far]
    this.port = near.address().port
  }

  // Nothing gets through any more.
  cut() {
    this.sockets.splice(0).forEach((socket) => socket.close())
  }
}

function open() {
  const socket = createSocket('udp4')
  socket.on('error', () => undefined)
  return new Promise((done) => socket.bind(0, '127.0.0.1', () => done(socket)))
}
