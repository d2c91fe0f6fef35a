import { testFaults } from "../support/faults.ts";

testFaults("suspend");
testFaults("wake");
