import { describe, expect, test } from 'vitest'
import { auditKind, describeFinding } from './support/repository.ts'
import type { Files } from './support/repository.ts'

interface Row {
  readonly name: string
  readonly files: Files
  readonly found: readonly string[]
}

const python = (name: string, code: string, ...found: string[]): Row => ({ name, files: { 'app/db.py': code }, found })
const script = (name: string, code: string, ...found: string[]): Row => ({ name, files: { 'src/db.ts': code }, found })

const ROWS: readonly Row[] = [
  python(
    'create_engine',
    'from sqlalchemy import create_engine\nengine = create_engine(settings.url)\n',
    'pool-without-limit P1 high app/db.py:2',
  ),
  python(
    'create_async_engine over lines',
    'from sqlalchemy.ext.asyncio import create_async_engine\nengine = create_async_engine(\n    settings.url,\n    pool_pre_ping=True,\n)\n',
    'pool-without-limit P1 high app/db.py:2-5',
  ),
  python(
    'asyncpg.create_pool',
    'import asyncpg\nasync def start():\n    return await asyncpg.create_pool(dsn)\n',
    'pool-without-limit P1 high app/db.py:3',
  ),
  python(
    'psycopg2 in a handler',
    'import psycopg2\ndef get_user(uid):\n    conn = psycopg2.connect(DSN)\n',
    'connection-per-call P1 high app/db.py:3',
  ),
  python(
    'an imported connect under another name',
    'from psycopg import connect as open_it\ndef get_user(uid):\n    with open_it(DSN) as conn:\n        pass\n',
    'connection-per-call P1 high app/db.py:3',
  ),
  python(
    'psycopg2 once for the process',
    'import psycopg2\nconn = psycopg2.connect(DSN)\n',
    'connection-per-call P2 low app/db.py:2',
  ),
  python(
    'psycopg_pool',
    'from psycopg_pool import AsyncConnectionPool\npool = AsyncConnectionPool(DSN, min_size=1)\n',
    'pool-without-limit P1 high app/db.py:2',
  ),
  python(
    'Mongo',
    'from motor.motor_asyncio import AsyncIOMotorClient\nclient = AsyncIOMotorClient(url)\n',
    'pool-without-limit P2 medium app/db.py:2',
  ),
  python(
    'Redis',
    'import redis.asyncio as redis\nclient = redis.from_url(settings.redis_url)\n',
    'pool-without-limit P2 medium app/db.py:2',
  ),
  python(
    'Django',
    "DATABASES = {\n    'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': 'x'}\n}\n",
    'pool-without-limit P2 medium app/db.py:1',
  ),
  python(
    'Flask-SQLAlchemy',
    'from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy()\n',
    'pool-without-limit P1 medium app/db.py:2',
  ),
  {
    name: 'Prisma where it connects, in another file',
    files: {
      'app/core/db.py': 'from prisma import Prisma\ndb = Prisma()\n',
      'main.py': 'from app.core.db import db\n\nasync def lifespan(app):\n    await db.connect()\n    yield\n',
    },
    found: ['pool-without-limit P1 high main.py:4'],
  },
  python(
    'Prisma that connects nowhere',
    'from prisma import Prisma\ndb = Prisma()\n',
    'pool-without-limit P1 high app/db.py:2',
  ),

  python(
    'pool_size',
    'from sqlalchemy import create_engine\nengine = create_engine(url, pool_size=5, max_overflow=0)\n',
  ),
  python(
    'NullPool is a choice',
    'from sqlalchemy import create_engine\nengine = create_engine(url, poolclass=NullPool)\n',
  ),
  python(
    'options that cannot be read',
    'from sqlalchemy import create_engine\nengine = create_engine(url, **settings.engine)\n',
  ),
  python('SQLite', 'from sqlalchemy import create_engine\nengine = create_engine("sqlite:///x.db")\n'),
  python('somebody else’s create_engine', 'from chess import create_engine\nengine = create_engine("stockfish")\n'),
  python('asyncpg with max_size', 'import asyncpg\npool = asyncpg.create_pool(dsn, max_size=settings.pool_max)\n'),
  python(
    'Redis with a bounded pool',
    'import redis\nclient = redis.Redis(connection_pool=redis.BlockingConnectionPool(max_connections=10))\n',
  ),
  python('Django with CONN_MAX_AGE', "DATABASES = {'default': {'ENGINE': 'x', 'CONN_MAX_AGE': 60}}\n"),
  {
    name: 'Flask-SQLAlchemy with engine options',
    files: {
      'app/db.py': 'from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy()\n',
      'app/config.py': "class Config:\n    SQLALCHEMY_ENGINE_OPTIONS = {'pool_size': 5}\n",
    },
    found: [],
  },
  {
    name: 'Prisma with connection_limit in the URL of compose',
    files: {
      'app/db.py': 'from prisma import Prisma\ndb = Prisma()\n',
      'docker-compose.yml':
        'services:\n  app:\n    environment:\n      DATABASE_URL: postgres://app@db/app?connection_limit=10\n',
    },
    found: [],
  },
  {
    name: 'migrations',
    files: { 'alembic/env.py': 'from sqlalchemy import create_engine\ncreate_engine(url)\n' },
    found: [],
  },
  {
    name: 'tests',
    files: { 'tests/conftest.py': 'from sqlalchemy import create_engine\ncreate_engine(url)\n' },
    found: [],
  },

  script(
    'pg pool without max',
    "import { Pool } from 'pg'\nexport const pool = new Pool({ connectionString: process.env.DATABASE_URL })\n",
    'pool-without-limit P1 high src/db.ts:2',
  ),
  script(
    'pg.Pool without arguments',
    "import pg from 'pg'\nconst pool = new pg.Pool()\n",
    'pool-without-limit P1 high src/db.ts:2',
  ),
  script(
    'pg by require',
    "const { Pool } = require('pg')\nconst pool = new Pool({ host })\n",
    'pool-without-limit P1 high src/db.ts:2',
  ),
  script(
    'pg options in a constant',
    "import { Pool } from 'pg'\nconst options = { host: 'db' }\nconst pool = new Pool(options)\n",
    'pool-without-limit P1 high src/db.ts:3',
  ),
  script(
    'pg client in a handler',
    "import { Client } from 'pg'\nexport async function getUser(id) {\n  const client = new Client(url)\n}\n",
    'connection-per-call P1 medium src/db.ts:3',
  ),
  script(
    'Prisma',
    "import { PrismaClient } from '@prisma/client'\nexport const db = new PrismaClient()\n",
    'pool-without-limit P1 high src/db.ts:2',
  ),
  script(
    'knex',
    "import knex from 'knex'\nexport const db = knex({ client: 'pg', connection: url })\n",
    'pool-without-limit P1 high src/db.ts:2',
  ),
  script(
    'Sequelize',
    "import { Sequelize } from 'sequelize'\nexport const db = new Sequelize(process.env.DATABASE_URL, { logging: false })\n",
    'pool-without-limit P1 high src/db.ts:2',
  ),
  script(
    'TypeORM',
    "import { DataSource } from 'typeorm'\nexport const db = new DataSource({ type: 'postgres', url })\n",
    'pool-without-limit P1 high src/db.ts:2',
  ),
  script(
    'TypeORM of Nest, made later',
    "import { TypeOrmModule } from '@nestjs/typeorm'\nTypeOrmModule.forRootAsync({ useFactory: () => ({ type: 'postgres' }) })\n",
    'pool-without-limit P1 high src/db.ts:2',
  ),
  script(
    'mongoose',
    "import mongoose from 'mongoose'\nawait mongoose.connect(process.env.MONGO_URL)\n",
    'pool-without-limit P1 medium src/db.ts:2',
  ),
  script(
    'mysql2',
    "import mysql from 'mysql2/promise'\nconst pool = mysql.createPool({ host, user })\n",
    'pool-without-limit P1 high src/db.ts:2',
  ),
  script(
    'postgres.js',
    "import postgres from 'postgres'\nconst sql = postgres(process.env.DATABASE_URL)\n",
    'pool-without-limit P1 medium src/db.ts:2',
  ),

  script(
    'pg pool with max',
    "import { Pool } from 'pg'\nconst pool = new Pool({ connectionString, max: config.poolMax })\n",
  ),
  script(
    'pg options from elsewhere',
    "import { Pool } from 'pg'\nimport { poolOptions } from './config'\nconst pool = new Pool(poolOptions)\n",
  ),
  script('pg options with a spread', "import { Pool } from 'pg'\nconst pool = new Pool({ ...base, host })\n"),
  script(
    'pg options in a bounded constant',
    "import { Pool } from 'pg'\nconst options = { host: 'db', max: 10 }\nconst pool = new Pool(options)\n",
  ),
  script('another Pool', "import { Pool } from 'swimming'\nconst pool = new Pool({ depth: 3 })\n"),
  script(
    'pg client that migrates',
    "import { Client } from 'pg'\nasync function main() {\n  const client = new Client(url)\n}\n",
    'connection-per-call P2 low src/db.ts:3',
  ),
  script(
    'Prisma with an adapter',
    "import { PrismaClient } from '@prisma/client'\nconst db = new PrismaClient({ adapter })\n",
  ),
  script(
    'knex with pool',
    "import knex from 'knex'\nconst db = knex({ client: 'pg', connection, pool: { min: 0, max: 10 } })\n",
  ),
  script('knex on SQLite', "import knex from 'knex'\nconst db = knex({ client: 'better-sqlite3', connection })\n"),
  script(
    'TypeORM with extra.max',
    "import { DataSource } from 'typeorm'\nnew DataSource({ type: 'postgres', extra: { max: 10 } })\n",
  ),
  script(
    'TypeORM of Nest with a pool',
    "import { TypeOrmModule } from '@nestjs/typeorm'\nTypeOrmModule.forRootAsync({ useFactory: (c) => ({ type: 'postgres', poolSize: c.poolMax }) })\n",
  ),
  {
    name: 'Prisma with connection_limit in the example environment',
    files: {
      'src/db.ts': "import { PrismaClient } from '@prisma/client'\nexport const db = new PrismaClient()\n",
      '.env.example': 'DATABASE_URL=postgresql://app:app@localhost/app?connection_limit=5\n',
    },
    found: [],
  },
]

describe('database pooling', () => {
  test.each(ROWS)('$name', async ({ files, found }) => {
    const { findings } = await auditKind('database-pooling', files)
    expect(findings.map(describeFinding)).toEqual(found)
  })
})
