// Every served command through the official JavaScript SDK: its good path and its refusals.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { call, commands, refusal, refused, succeeded } from './client.mjs';
import { complaints } from './models.mjs';
import { act, admin, fresh, neverSucceeds, scenarios, stranger } from './scenarios.mjs';

const only = process.env.KEYSHERD_ONLY;
let strangersToken;

const tokenOf = async (scenario) =>
  (scenario.open ? undefined : (scenario.token ?? admin)());

const changed = (fields, change) =>
  (Array.isArray(fields) ? fields.map((row) => ({ ...row, ...change })) : { ...fields, ...change });

before(async () => {
  strangersToken = await stranger();
});

for (const [name, served] of commands) {
  if (only !== undefined && !name.includes(only)) continue;
  const scenario = scenarios[served.current];
  describe(name, () => {
    if (scenario === undefined) {
      test('has a scenario', () => assert.fail(`${name} has none in scenarios.mjs`));
      return;
    }
    test('succeeds', async () => {
      const fields = await scenario.fields();
      if (neverSucceeds.has(name)) await refusal(401, name, fields);
      else await call(name, fields, await tokenOf(scenario));
    });
    if (served.access !== 'open') {
      test('needs a token', async () => {
        const fields = await scenario.fields();
        await refusal(401, name, fields);
        await refusal(401, name, fields, `t-${'0'.repeat(32)}`);
      });
    }
    if (served.access !== 'open' && served.access !== 'token'
      && !served.access.endsWith(' listing')) {
      test('needs a right', async () => {
        const fields = await scenario.fields();
        // What is named by an id only looks absent to who may not see it.
        await refusal(Array.isArray(fields) ? 404 : 401, name, fields, strangersToken);
      });
    }
    if (scenario.absent !== undefined) {
      test('says that an object is absent', async () => {
        const fields = changed(await scenario.fields(), scenario.absent);
        assert.match(await refusal(404, name, fields, await tokenOf(scenario)), /NotFound/);
      });
    }
    if (scenario.twice) {
      test('says that an object exists', async () => {
        const fields = await scenario.fields();
        await call(name, fields, await tokenOf(scenario));
        const text = await refusal(409, name, fields, await tokenOf(scenario));
        assert.match(text, /AlreadyExists/);
      });
    }
  });
}

describe('values', { skip: only !== undefined }, () => {
  test('come back as written', async () => {
    const name = fresh('value');
    await act('create-secret', { name, value: '{"a": "π"}' });
    assert.deepEqual(await act('get-secret-value', { names: [name] }), { [name]: '{"a": "π"}' });
    const asJson = await act('get-secret-value', { names: [name], json: true });
    assert.deepEqual(asJson, { [name]: { a: 'π' } });
  });

  test('outside the choices of a field are refused', async () => {
    const fields = { path: '/a', type: 'nonsense' };
    assert.match(await refusal(400, 'describe-permissions', fields, await admin()), /type/);
  });
});

describe('the check of replies', () => {
  test('finds each kind of fault', () => {
    const faults = [
      ['Item', { warning: 'x' }],
      ['Item', { item_id: '5' }],
      ['Item', { item_name: null }],
      ['Item', { creation_date: '' }],
      ['Item', { item_general_info: { static_secret_info: { colour: 1 } } }],
      ['list[str]', ['a', 1]],
      ['dict(str, list[str])', { a: 'b' }],
    ];
    for (const [kind, value] of faults) {
      assert.equal(complaints(kind, value).length, 1, JSON.stringify(value));
    }
    const good = { item_name: '/a', item_tags: null, creation_date: '2026-01-05T10:11:12Z' };
    assert.deepEqual(complaints('Item', good), []);
  });
});

// Last, because it looks at what the others did.
describe('coverage', { skip: only !== undefined }, () => {
  test('every name succeeded', () => {
    const missing = [...commands.keys()]
      .filter((name) => !succeeded.has(name) && !neverSucceeds.has(name));
    assert.deepEqual(missing, []);
  });

  test('every name was refused', () => {
    const missing = [...commands.values()]
      .filter(({ access, name }) => access !== 'open' && !refused.has(`${name} 401`));
    assert.deepEqual(missing.map(({ name }) => name), []);
  });
});
