import { join } from 'node:path'
import { readSecretFile } from '@hypercode/config'

/** The secrets that blueprints may name: one file each, closed to others, in one folder. */
export interface SecretsFolder {
  has(name: string): boolean
  /** @throws {SecretMissing} when there is none that can be read */
  read(name: string): string
}

/** Its message names the secret and holds neither value nor path. */
export class SecretMissing extends Error {
  override readonly name = 'SecretMissing'
}

/** Without a folder there are none. Files are read each time, so a secret that was exchanged is in the next start. */
export function createSecretsFolder(folder: string | undefined): SecretsFolder {
  // A name is lower case letters, digits and dashes, so it leads nowhere else; that is checked again where it matters.
  const find = (name: string) =>
    folder === undefined || !/^[a-z0-9][a-z0-9-]{0,62}$/.test(name) ? undefined : readSecretFile(join(folder, name))
  return {
    has(name) {
      const found = find(name)
      return found !== undefined && 'value' in found
    },
    read(name) {
      const found = find(name)
      if (found === undefined) throw new SecretMissing(`The factory has no secret "${name}".`)
      if ('problem' in found) throw new SecretMissing(`The secret "${name}" ${found.problem}: ${found.fix}.`)
      return found.value
    },
  }
}
