// The calls of the official TypeScript SDK's own tests, each in its own words and against a
// fresh `cfsso emulator`: what npm serves has the SDK and its sources, but not its tests.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, test } from "node:test";

import Cloudflare from "cloudflare";

// Made by run_foreign.py: the command, a state file, and who is asked with which token.
const { command, state, account_id, sso_connector_id, apiToken } = JSON.parse(
  process.env.CFSSO_FOREIGN,
);

let folder, server, sso;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "cfsso-"));
  await copyFile(state, path.join(folder, "state.json"));
  const options = ["emulator", "--state", path.join(folder, "state.json")];
  server = spawn(command, options, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface(server.stdout), "line");
  const baseURL = line.replace("listening on ", "");
  sso = new Cloudflare({ apiToken, apiEmail: null, apiKey: null, baseURL, maxRetries: 0 }).iam.sso;
});

afterEach(async () => {
  server.kill("SIGTERM");
  const [code] = await once(server, "exit");
  await rm(folder, { recursive: true });
  assert.equal(code, 0);
});

// What each call gives: as a response, as a value, and as both.
const calls = {
  create: () => sso.create({ account_id, email_domain: "example.com" }),
  update: () => sso.update(sso_connector_id, { account_id }),
  list: () => sso.list({ account_id }),
  delete: () => sso.delete(sso_connector_id, { account_id }),
  beginVerification: () => sso.beginVerification(sso_connector_id, { account_id }),
  get: () => sso.get(sso_connector_id, { account_id }),
};

for (const [name, call] of Object.entries(calls)) {
  test(`${name}: response and value`, async () => {
    const promise = call();
    const response = await promise.asResponse();
    assert.ok(response instanceof Response);
    assert.equal(response.status, 200);
    const value = await promise;
    assert.ok(!(value instanceof Response));
    const both = await promise.withResponse();
    assert.equal(both.data, value);
    assert.equal(both.response, response);
  });
}

// What the values are, with every parameter that there is.
const named = { id: sso_connector_id, email_domain: "sso.example.org" };

test("create: all parameters", async () => {
  const wording = { begin_verification: true, use_fedramp_language: true };
  const made = await sso.create({ account_id, email_domain: "example.com", ...wording });
  assert.equal(made.email_domain, "example.com");
  assert.equal(made.verification.status, "pending");
  assert.equal(made.use_fedramp_language, true);
});

test("update: all parameters", async () => {
  const wanted = { enabled: true, use_fedramp_language: false };
  const shown = await sso.update(sso_connector_id, { account_id, ...wanted });
  assert.partialDeepStrictEqual(shown, { ...named, ...wanted });
});

test("list: every page", async () => {
  const all = [];
  for await (const one of sso.list({ account_id })) all.push(one);
  assert.partialDeepStrictEqual(all, [named]);
});

test("delete: the id", async () => {
  assert.deepEqual(await sso.delete(sso_connector_id, { account_id }), { id: sso_connector_id });
  await assert.rejects(sso.get(sso_connector_id, { account_id }), Cloudflare.NotFoundError);
});

test("beginVerification: an envelope", async () => {
  const begun = await sso.beginVerification(sso_connector_id, { account_id });
  assert.deepEqual(begun, { success: true, errors: [], messages: [] });
});

test("get: the connector", async () => {
  assert.partialDeepStrictEqual(await sso.get(sso_connector_id, { account_id }), named);
});
