/** `npm run sim`: the simulation of the crew-orchestrator. */
import { main, usage } from './main.ts'

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof TypeError)) throw error
  process.exitCode = usage(error)
}
