import { assertStringIncludes } from "@std/assert";
import { refuseExposure } from "../../../lib/cli/exposure.ts";
import { assertThrowsError } from "../../support/named_errors.ts";

const NOTHING = { tls: false, accounts: false, insecure: false };

Deno.test("the address that is bound decides, whatever the name stands for by now", () => {
  const error = assertThrowsError(() => refuseExposure({ asked: "localhost", bound: "192.0.2.1" }, NOTHING), "USAGE");
  assertStringIncludes(error.message, "--host localhost");
  refuseExposure({ asked: "files.example", bound: "127.0.0.1" }, NOTHING);
  refuseExposure({ asked: "files.example", bound: "::1" }, NOTHING);
});
