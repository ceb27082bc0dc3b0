// The page of the clients: its lines of code, to be copied.

import { offerCopies } from "./copying.js";

offerCopies((sample) => sample.querySelector("code").textContent.split("\n", 1)[0]);
