import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Mutant } from './mutants/edit.ts'

const ROOT = new URL('../../../', import.meta.url).href
const SHIMS = new URL('shims.ts', import.meta.url).href
/** Whose imports are redirected, and from what. */
const SHIMMED = [
  { parent: /\/(apps\/crew-orchestrator|packages\/db)\/src\//, specifier: 'node:timers/promises' },
  { parent: /\/packages\/contracts\/src\/ids\.ts$/, specifier: 'uuid' },
]

/**
 * Has the modules that this thread loads from now on take time and ids from the simulation, and applies a mutant to their source as it
 * is read. Nothing on the disk is touched.
 */
export function installHooks(mutant: Mutant | undefined): void {
  const applied = new Set<string>()
  registerHooks({
    resolve(specifier, context, next) {
      const { parentURL = '' } = context
      const isShimmed = SHIMMED.some((one) => one.specifier === specifier && one.parent.test(parentURL))
      return isShimmed ? { url: SHIMS, shortCircuit: true, format: 'module-typescript' } : next(specifier, context)
    },
    load(url, context, next) {
      const edits = mutant?.edits.filter((edit) => url === `${ROOT}${edit.file}`) ?? []
      if (edits.length === 0) return next(url, context)
      applied.add(url)
      const loaded = next(url, { ...context, format: 'module-typescript' })
      let source = Buffer.from(loaded.source as Uint8Array).toString()
      for (const { find, replace } of edits) {
        const parts = source.split(find)
        if (parts.length !== 2)
          throw new Error(`${mutant?.name}: ${fileURLToPath(url)} holds ${parts.length - 1} times: ${find}`)
        source = parts.join(replace)
      }
      return { format: 'module-typescript', source, shortCircuit: true }
    },
  })
}
