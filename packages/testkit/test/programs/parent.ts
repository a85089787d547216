import { spawnService } from '@hypercode/testkit/tools'

const service = await spawnService({
  entry: 'packages/testkit/test/programs/tiny-service.ts',
  portVariable: 'TINY_PORT',
  env: { STUBBORN: '1' },
})
process.stdout.write(`${service.pid}\n`)
setInterval(() => undefined, 60_000)
