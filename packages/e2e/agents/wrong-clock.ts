/**
 * Makes the clock of a process wrong: `NODE_OPTIONS="--import …/wrong-clock.ts" CLOCK_WRONG_MS=-300000`. `Date` alone; what is monotonic
 * stays so, as it does when somebody sets the clock of a machine.
 */
const wrongMs = Number(process.env['CLOCK_WRONG_MS'] ?? '0')
const now = Date.now.bind(Date)

globalThis.Date = new Proxy(Date, {
  construct: (target, args: unknown[], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now() + wrongMs] : args, newTarget) as Date,
  get: (target, name, receiver) =>
    name === 'now' ? () => now() + wrongMs : (Reflect.get(target, name, receiver) as unknown),
})
