import { describe, expect, test } from 'vitest'
import { parseManifest } from '../../src/manifest/parse.ts'
import { expectFaults, tasks } from './expect-faults.ts'
import type { Expected } from './expect-faults.ts'

describe('faults of meaning, with the place of each', () => {
  test.for<[string, string, Expected[]]>([
    [
      'a member that does not exist',
      tasks('    - { id: a, member: nobody }\n'),
      [['/spec/tasks/0/member', 7, 24, 'there is no member "nobody"']],
    ],
    [
      'the same id twice',
      tasks('    - { id: a, member: worker }\n    - { id: b, member: worker }\n    - { id: a, member: worker }\n'),
      [['/spec/tasks/2/id', 9, 13, '"a" stands here a second time']],
    ],
    [
      'the same member twice',
      tasks('    - { id: a, member: worker }\n').replace('[{', '[{ id: worker, skill: other }, {'),
      [['/spec/members/1/id', 5, 49, '"worker" stands here a second time']],
    ],
    [
      'a dependency that does not exist',
      tasks('    - { id: a, member: worker, dependsOn: [b, c] }\n    - { id: b, member: worker }\n'),
      [['/spec/tasks/0/dependsOn/1', 7, 47, 'there is no task "c"']],
    ],
    [
      'a task that waits for itself',
      tasks('    - { id: a, member: worker, dependsOn: [a] }\n'),
      [['/spec/tasks/0/dependsOn', 7, 43, 'the tasks wait for each other: a → a']],
    ],
    [
      'a long cycle, named from its first task',
      tasks(
        ['start', 'a', 'b', 'c', 'd']
          .map((id, index) => `    - { id: ${id}, member: worker, dependsOn: [${['d', 'c', 'a', 'b', 'c'][index]}] }\n`)
          .join(''),
      ),
      [['/spec/tasks/3/dependsOn', 10, 43, 'the tasks wait for each other: c → b → a → c']],
    ],
    [
      'a sequence against its own order',
      `${tasks('    - { id: a, member: worker, dependsOn: [b] }\n    - { id: b, member: worker }\n')}  process: sequential\n`,
      [['/spec/tasks/0/dependsOn', 7, 43, 'a → b → a']],
    ],
    [
      'dependencies in a parallel crew',
      `${tasks('    - { id: a, member: worker }\n    - { id: b, member: worker, dependsOn: [a] }\n')}  process: parallel\n`,
      [['/spec/tasks/1/dependsOn', 8, 43, 'run side by side']],
    ],
    [
      'a reference to nowhere',
      tasks('    - id: a\n      member: worker\n      input: { x: ["${env.HOME}", "${tasks.b.output}"] }\n'),
      [
        ['/spec/tasks/0/input/x/0', 9, 20, '${env.HOME} begins with "env"'],
        ['/spec/tasks/0/input/x/1', 9, 35, 'there is no task "b"'],
      ],
    ],
    [
      'a reference to a task that is not waited for',
      tasks('    - { id: a, member: worker }\n    - { id: b, member: worker, input: "${tasks.a.output}" }\n'),
      [['/spec/tasks/1/input', 8, 39, 'the task does not wait for "a"']],
    ],
    [
      'a member that tasks and missions do not have',
      tasks(
        '    - { id: a, member: worker, input: "${mission.secret}" }\n    - { id: b, member: worker, dependsOn: [a], input: "${tasks.a.result}" }\n',
      ),
      [
        ['/spec/tasks/0/input', 7, 39, 'a mission has id'],
        ['/spec/tasks/1/input', 8, 55, 'a task has output and state'],
      ],
    ],
    [
      'item without forEach, and in forEach itself',
      tasks(
        '    - { id: a, member: worker, input: "${item.name}" }\n    - { id: b, member: worker, forEach: "${item}", input: "${index}" }\n',
      ),
      [
        [
          '/spec/tasks/0/input',
          7,
          39,
          'has a meaning only in the input and the concurrency key of a task with forEach',
        ],
        [
          '/spec/tasks/1/forEach',
          8,
          41,
          'has a meaning only in the input and the concurrency key of a task with forEach',
        ],
      ],
    ],
    [
      'a reference without an end',
      tasks('    - { id: a, member: worker, input: "x ${mission.input" }\n'),
      [['/spec/tasks/0/input', 7, 39, 'a "${" has no end']],
    ],
    [
      'code instead of a path',
      tasks(
        '    - { id: a, member: worker, input: ["${process.exit(1)}", "${mission.input[\'a\']}", "${mission.input || 1}"] }\n',
      ),
      [
        ['/spec/tasks/0/input/0', 7, 40, 'is not a path'],
        ['/spec/tasks/0/input/1', 7, 62, 'is not a path'],
        ['/spec/tasks/0/input/2', 7, 87, 'is not a path'],
      ],
    ],
    [
      'a forEach that is more than one reference',
      tasks('    - { id: a, member: worker, forEach: "x${mission.input}" }\n'),
      [['/spec/tasks/0/forEach', 7, 41, 'must be one reference or a list']],
    ],
    [
      'a compensation by nobody, and one by two',
      tasks(
        '    - { id: a, member: worker, compensate: {} }\n    - { id: b, member: worker, compensate: { member: worker, skill: undo } }\n',
      ),
      [
        ['/spec/tasks/0/compensate', 7, 44, 'needs either a "member" or a "skill"'],
        ['/spec/tasks/1/compensate', 8, 44, 'needs either a "member" or a "skill"'],
      ],
    ],
    [
      'a compensation by a member that does not exist',
      tasks('    - { id: a, member: worker, compensate: { member: nobody } }\n'),
      [['/spec/tasks/0/compensate/member', 7, 54, 'there is no member "nobody"']],
    ],
    [
      'references of a compensation to what is not known then',
      tasks(
        '    - { id: a, member: worker }\n    - id: b\n      member: worker\n      dependsOn: [a]\n      compensate:\n        skill: undo\n        input:\n          own: "${tasks.b.output.id} ${tasks.b.input} ${mission.error.code}"\n          other: "${tasks.a.output}"\n          element: "${item}"\n          open: "${tasks"\n',
      ),
      [
        ['/spec/tasks/1/compensate/input/other', 15, 18, 'is not known when "b" is undone'],
        ['/spec/tasks/1/compensate/input/element', 16, 20, 'is not known when "b" is undone'],
        ['/spec/tasks/1/compensate/input/open', 17, 17, 'has no end'],
      ],
    ],
    [
      'the error of the mission before there is one',
      tasks('    - { id: a, member: worker, input: "${mission.error}" }\n'),
      [['/spec/tasks/0/input', 7, 39, 'a mission has']],
    ],
    [
      'onChildFailure without children',
      tasks('    - { id: a, member: worker, onChildFailure: continue }\n'),
      [['/spec/tasks/0/onChildFailure', 7, 48, 'has a meaning only beside forEach']],
    ],
    [
      'a condition that is none',
      tasks(
        '    - { id: a, member: worker, when: "${mission.input} && true" }\n    - { id: b, member: worker, when: \'"\\" == 007a\' }\n',
      ),
      [
        ['/spec/tasks/0/when', 7, 38, 'is not a condition'],
        ['/spec/tasks/1/when', 8, 38, 'is not a condition'],
      ],
    ],
  ])('%s', ([, text, expected]) => expectFaults(text, expected))

  test('hints go with the fault', () => {
    const { faults } = parseManifest(tasks('    - { id: a, member: nobody }\n'))
    expect(faults[0]?.fix).toBe('Members are: worker.')
  })
})
