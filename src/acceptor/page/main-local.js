// The page with the judge inside.

import { localBackend } from "./local.js";
import { start } from "./page.js";

start(localBackend());
