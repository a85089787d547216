/** A factory of its own process, for tests that kill it: `factory.ts CONFIG LAUNCH`, both as JSON. Tells the handle, then waits. */
import type { ProcessDriverConfig } from '../../../src/drivers/config.ts'
import type { Launch } from '../../../src/drivers/driver.ts'
import { createProcessDriver } from '../../../src/drivers/process/process-driver.ts'

const [config = '', launch = ''] = process.argv.slice(2)
const driver = createProcessDriver(JSON.parse(config) as ProcessDriverConfig)
process.stdout.write('begin\n')
const handle = await driver.start(JSON.parse(launch) as Launch, new AbortController().signal)
process.stdout.write(`${JSON.stringify(handle)}\n`)
setInterval(() => undefined, 1000)
