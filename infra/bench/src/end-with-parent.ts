/** For a worker process: says that it is ready, and ends when whoever started it has gone or wants it to. */
export function endWithParent(close: () => Promise<unknown>): void {
  process.once('disconnect', () => {
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`)
        process.exit(1)
      },
    )
  })
  process.send?.('ready')
}
