import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { ProcessDriverConfig } from '../config.ts'
import type { Launch } from '../driver.ts'
import { agentCommand, entryFile } from './agent-command.ts'
import { inFolder, writeRecord } from './launch-folder.ts'
import type { LaunchRecord } from './launch-folder.ts'
import { checkReadable, findUser } from './run-as.ts'
import type { User } from './run-as.ts'

const LOG_BYTES_MAX = 4 * 1024 * 1024
/** May be entered, not read: what is in it is reached by those who know its name. */
const PASSAGE = 0o711

/**
 * Makes the folder of a launch, with all that its keeper needs. May be done again until it is claimed.
 *
 * @throws {LaunchRefused} when it cannot run as it is asked for
 */
export async function prepareLaunch(folder: string, launch: Launch, config: ProcessDriverConfig): Promise<void> {
  const file = entryFile(launch.entry, config.modulesFrom)
  const [user, argv] = await Promise.all([
    findUser(config.runAs ?? 'nobody'),
    agentCommand(launch, file, config.nodeArgs),
  ])
  makeFolders(folder, user)
  if (user !== undefined) await checkReadable(user, [process.execPath, file, path.dirname(folder)])
  writeSecrets(folder, launch.secrets, user)
  const record: LaunchRecord = {
    launchId: launch.launchId,
    instanceId: launch.instanceId,
    argv,
    env: environment(folder, launch),
    ...(user && { user }),
    cpu: launch.cpu,
    memoryBytes: launch.memoryBytes,
    logBytesMax: config.logBytesMax ?? LOG_BYTES_MAX,
    cgroups: config.cgroups ?? 'auto',
  }
  writeRecord(folder, 'launch.json', record)
}

/** Nothing of the factory's own environment. */
function environment(folder: string, launch: Launch): Record<string, string> {
  const { work, temporary } = inFolder(folder)
  const secrets = Object.keys(launch.secrets).map((name) => [`${name}_FILE`, secretFile(folder, name)])
  return {
    LANG: 'C.UTF-8',
    NODE_ENV: 'production',
    ...launch.env,
    ...Object.fromEntries(secrets),
    PATH: [path.dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(':'),
    HOME: work,
    TMPDIR: temporary,
  }
}

function makeFolders(folder: string, user: User | undefined): void {
  const { secrets, work, temporary } = inFolder(folder)
  for (const passage of [path.dirname(folder), folder, secrets]) {
    mkdirSync(passage, { recursive: true, mode: PASSAGE })
    chmodSync(passage, PASSAGE) // whatever the umask says
  }
  for (const own of [work, temporary]) {
    mkdirSync(own, { recursive: true, mode: 0o700 })
    giveTo(own, user)
  }
}

function writeSecrets(folder: string, secrets: Launch['secrets'], user: User | undefined): void {
  for (const [name, value] of Object.entries(secrets)) {
    const file = secretFile(folder, name)
    const draft = `${file}.${process.pid}`
    rmSync(draft, { force: true }) // left by a crash of one with our number, it could not be written to
    writeFileSync(draft, value, { mode: 0o400 })
    giveTo(draft, user)
    renameSync(draft, file)
  }
}

const secretFile = (folder: string, name: string): string => path.join(inFolder(folder).secrets, name)

function giveTo(entry: string, user: User | undefined): void {
  if (user !== undefined) chownSync(entry, user.uid, user.gid)
}
