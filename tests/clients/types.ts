// What the types that openapi-typescript generates allow and refuse: compiled, never run.

import createClient from "openapi-fetch";
import type { components, paths } from "./contract";

type MoneyBody = components["schemas"]["MoneyBody"];
type TransactionBody = components["schemas"]["TransactionBody"];

export const salary: MoneyBody = { amount: "1250.00", currency: "EUR", description: "Salary" };
// @ts-expect-error: money has an amount and a currency
export const nothing: MoneyBody = {};
// @ts-expect-error: an amount is a text
export const inexact: MoneyBody = { amount: 12.34, currency: "EUR" };
// @ts-expect-error: a transaction has two accounts
export const toNobody: TransactionBody = { amount: "1", currency: "EUR" };
// @ts-expect-error: this is no currency
export const wrongCurrency: components["schemas"]["CreateAccountBody"] = { currency: "EURO" };

const client = createClient<paths>({ baseUrl: "http://127.0.0.1:3000" });

export async function withdraw(id: string, body: MoneyBody): Promise<number | string> {
  const { data, error } = await client.POST("/accounts/{id}/withdrawals", {
    params: { path: { id }, header: { "Idempotency-Key": "cash" } },
    body,
  });
  if (data) return data.version;
  if ("type" in error && error.type === "/problems/insufficient-funds") return error.available ?? "nothing";
  // @ts-expect-error: no withdrawal ends with this problem
  if ("type" in error && error.type === "/problems/same-account") return "never";
  return "refused";
}
