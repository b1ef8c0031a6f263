// Waiting for something to happen, with a deadline: whoever looks in vain sleeps until the bell rings, then looks again.

export class Bell {
  #sleepers = []

  // Something happened.
  ring() {
    this.#sleepers.splice(0).forEach((wake) => wake())
  }

  // Resolves to what `look` finds, as soon as it finds something; throws `complaint()` when that takes longer than so many ms.
  async until(look, milliseconds, complaint) {
    const deadline = Date.now() + milliseconds
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      const left = deadline - Date.now()
      if (left <= 0) throw new Error(complaint())
      await new Promise((wake) => {
        const alarm = setTimeout(wake, left)
        this.#sleepers.push(() => {
          clearTimeout(alarm)
          wake()
        })
      })
    }
  }
}
